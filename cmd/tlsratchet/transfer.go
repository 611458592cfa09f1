package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/words"
)

func exportCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "print the whole memory, a JSON object a line",
		Flags: operatorFlags(),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			return admin.WriteLines(stdout, a.Export(c.Context))
		}, stderr),
	}
}

func importCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "merge what export printed into the memory", ArgsUsage: "FILE",
		Description: "FILE may be - for standard input. In any order, any number of times: nothing is undone by it.\n" +
			"Where there is no memory yet, one is started.",
		Flags: operatorFlags(),
		Action: func(c *cli.Context) error {
			name, in, err := importFrom(c)
			if err != nil {
				return err
			}
			defer in.Close()
			merge := func(c *cli.Context, a admin.Admin) error { return importFile(c, a, name, in, stdout) }
			return operationOn(daemon.OperateOrStart, merge, stderr)(c)
		},
	}
}

// importFrom opens what the command line names, before anything is made.
func importFrom(c *cli.Context) (name string, in io.ReadCloser, err error) {
	if name, err = argument(c, "FILE"); err != nil || name == "-" {
		return name, os.Stdin, err
	}
	file, err := os.Open(name)
	if err != nil {
		return name, nil, unopened(name, err)
	}
	return name, file, nil
}

func importFile(c *cli.Context, a admin.Admin, name string, in io.Reader, stdout io.Writer) error {
	done, err := a.Import(c.Context, "import", operatorName(), admin.Lines(in))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return show(c, stdout, done, func() error {
		if _, err = fmt.Fprintf(stdout, "%s, %s changed, %d refused as dated later than tomorrow\n", words.Count(done.Lines, "line"), words.Count(done.Changed, "identity"), done.Refused); err != nil {
			return err
		}
		return printLater(stdout, done.Later)
	})
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
