package arch_test

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// repeatLines is how many lines of code in a row no two places may share.
const repeatLines = 13

// No two places of the product do the same: functions share no 13 lines in a
// row, whatever the names and literals in them. What stands behind a dot counts:
// fields, methods, the names of other packages. A list of what looks alike, such as
// calls, is one place: lines are not compared with those that they overlap.
func TestNothingIsDoneTwice(t *testing.T) {
	type place struct {
		body, line int
		at         string
	}
	first := map[string]place{}
	compared := 0
	lines := 0
	for _, top := range []string{"cmd", "contrib", "internal", "milter", "tlsstate"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			for _, body := range bodies(t, name) {
				compared++
				lines += len(body)
				for i := 0; i+repeatLines <= len(body); i++ {
					text, at := abstract(body[i:i+repeatLines]), body[i].at
					switch other, ok := first[text]; {
					case !ok:
						first[text] = place{compared, i, at}
					case other.body != compared || i >= other.line+repeatLines:
						t.Errorf("%s does what %s does", at, other.at)
						i = len(body)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if lines < 5000 {
		t.Errorf("only %d lines were compared", lines)
	}
}

// line is one of code: its tokens, and where it is.
type line struct {
	tokens []string
	at     string
}

// bodies returns the code of each function of a file.
func bodies(t *testing.T, name string) (all [][]line) {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			all = append(all, split(src[set.Position(f.Body.Lbrace).Offset:set.Position(f.Body.End()).Offset],
				strings.TrimPrefix(name, root+"/"), set.Position(f.Body.Lbrace).Line))
		}
	}
	return all
}

// split returns the lines of code in a text that begins at a line of a file.
// Names that do not stand behind a dot begin with a space.
func split(src []byte, name string, from int) (all []line) {
	file := token.NewFileSet().AddFile(name, -1, len(src))
	var s scanner.Scanner
	s.Init(file, src, nil, 0)
	last, before := 0, token.ILLEGAL
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return all
		}
		if tok == token.SEMICOLON && text == "\n" {
			continue
		}
		if n := file.Line(pos); n != last {
			all, last = append(all, line{at: name + ":" + strconv.Itoa(from+n-1)}), n
		}
		switch {
		case tok != token.IDENT:
			text = tok.String()
		case before != token.PERIOD:
			text = " " + text
		}
		l := &all[len(all)-1]
		l.tokens, before = append(l.tokens, text), tok
	}
}

// abstract joins lines to a text in which names are numbers, in the order in
// which they appear.
func abstract(lines []line) string {
	numbers := map[string]int{}
	var b strings.Builder
	for _, l := range lines {
		for _, text := range l.tokens {
			if text[0] == ' ' {
				if _, ok := numbers[text]; !ok {
					numbers[text] = len(numbers)
				}
				text = strconv.Itoa(numbers[text])
			}
			b.WriteString(text + " ")
		}
		b.WriteByte('\n')
	}
	return b.String()
}
