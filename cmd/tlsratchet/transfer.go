package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
)

func exportCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "print the whole memory, a JSON object a line",
		Flags: operatorFlags(),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return printJSON(a.Export(c.Context), stdout)
		}, stderr),
	}
}

func importCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "merge what export printed into the memory", ArgsUsage: "FILE",
		Description: "FILE may be - for standard input. In any order, any number of times: nothing is undone by it.",
		Flags:       operatorFlags(),
		Action:      operation(func(c *cli.Context, a admin.Admin) error { return importFile(c, a, stdout) }, stderr),
	}
}

func importFile(c *cli.Context, a admin.Admin, stdout io.Writer) error {
	name, err := argument(c, "FILE")
	if err != nil {
		return err
	}
	in := os.Stdin
	if name != "-" {
		if in, err = os.Open(name); err != nil {
			return unopened(name, err)
		}
		defer in.Close()
	}
	done, err := a.Import(c.Context, admin.Lines(in))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if c.Bool("json") {
		return json.NewEncoder(stdout).Encode(done)
	}
	if _, err = fmt.Fprintf(stdout, "%d lines, %d identities changed, %d refused as dated later than tomorrow\n", done.Lines, done.Changed, done.Refused); err != nil {
		return err
	}
	return printLater(stdout, done.Later)
}

// unopened says why a file can't be read: the way Open does, without its own
// name, and who may.
func unopened(name string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return admin.Denied(name)
	}
	if wrapped := new(fs.PathError); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// printLater prints that other hosts follow, if that is so.
func printLater(w io.Writer, later string) (err error) {
	if later != "" {
		_, err = fmt.Fprintln(w, later)
	}
	return err
}
