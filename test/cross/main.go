// Command cross checks that a program's source fits other systems: it reads each
// package that is built for them, those of the Go modules too, and checks their
// types as the compiler does, with the sizes of that machine. It builds nothing,
// which takes seconds where make cross takes minutes; so it finds what a type
// checker finds, and no fault of the compiler or the linker.
//
//	go run ./test/cross [-test] PACKAGE SYSTEM/MACHINE...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	tests := flag.Bool("test", false, "the packages' tests too")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: cross [-test] PACKAGE SYSTEM/MACHINE...")
		os.Exit(2)
	}
	for _, target := range flag.Args()[1:] {
		n, err := check(".", flag.Arg(0), target, *tests)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", target, err)
			os.Exit(1)
		}
		fmt.Printf("%s: %d packages\n", target, n)
	}
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir string
	Standard        bool
	GoFiles         []string
	ImportMap       map[string]string
	Error           *struct{ Err string }
}

// check checks what a pattern of packages in dir needs on a target, such as
// linux/386, and returns how many packages that are.
func check(dir, pattern, target string, tests bool) (int, error) {
	system, machine, _ := strings.Cut(target, "/")
	packages, err := list(dir, pattern, system, machine, tests)
	if err != nil {
		return 0, err
	}
	c := &checker{sizes: types.SizesFor("gc", machine), done: map[string]*types.Package{"unsafe": types.Unsafe}}
	if c.sizes == nil {
		return 0, errors.New("no such machine")
	}
	for _, p := range packages {
		if err := c.add(p); err != nil {
			return 0, fmt.Errorf("%s: %w", p.ImportPath, err)
		}
	}
	return len(packages), nil
}

// list returns packages, each after those that it imports.
func list(dir, pattern, system, machine string, tests bool) (all []*listed, err error) {
	cmd := exec.Command("go", "list", fmt.Sprintf("-test=%t", tests), "-deps", "-e", "-json=ImportPath,Dir,Standard,GoFiles,ImportMap,Error", pattern)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+machine)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Error != nil {
			return nil, errors.New(p.Error.Err)
		}
		if !strings.HasSuffix(p.ImportPath, ".test") { // the main package of a test, which go makes
			all = append(all, p)
		}
	}
}

// checker has the packages that were checked.
type checker struct {
	files token.FileSet
	sizes types.Sizes
	done  map[string]*types.Package
}

func (c *checker) add(p *listed) error {
	if p.ImportPath == "unsafe" {
		return nil
	}
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(&c.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	config := types.Config{
		Importer: importer(func(path string) *types.Package {
			if mapped, ok := p.ImportMap[path]; ok {
				path = mapped
			}
			return c.done[path]
		}),
		Sizes: c.sizes, FakeImportC: true,
		IgnoreFuncBodies: p.Standard, // Go's own are built by its authors
	}
	made, err := config.Check(p.ImportPath, &c.files, files, nil)
	if err != nil {
		return err
	}
	c.done[p.ImportPath] = made
	return nil
}

// importer finds a package that was checked before.
type importer func(path string) *types.Package

func (find importer) Import(path string) (*types.Package, error) {
	if p := find(path); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s was not listed", path)
}
