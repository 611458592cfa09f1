package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/words"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "print the whole memory, a JSON object a line",
		Flags: operatorFlags(),
		Action: operation(func(c *cli.Context) (job, error) {
			return func(a *admin.Admin) error { return admin.WriteLines(c.App.Writer, a.Export(c.Context)) }, nil
		}),
	}
}

func importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "merge what export printed into the memory", ArgsUsage: "FILE",
		Description: "FILE may be - for standard input. Files may come in any order, any number of times: nothing is undone.\n" +
			"Where there is no memory yet, one is started.",
		Flags: operatorFlags(),
		Action: operationOn(daemon.MayStart, func(c *cli.Context) (job, error) {
			name, err := argument(c, "FILE")
			if err != nil {
				return nil, err
			}
			in, err := whole(name)
			if err != nil {
				return nil, err
			}
			return func(a *admin.Admin) error { return errors.Join(importFile(c, a, name, in), in.Close()) }, nil
		}),
	}
}

// whole opens a file, or standard input for "-". What comes from another process is
// read to its end first: else that one would hold the lock of the history.
func whole(name string) (in *os.File, err error) {
	if in = os.Stdin; name != "-" {
		if in, err = os.Open(name); err != nil {
			return nil, admin.WhoMay(err)
		}
	}
	info, err := in.Stat()
	if err != nil || info.Mode().IsRegular() {
		return in, err
	}
	file := temporary()
	if file == nil {
		return in, nil
	}
	if _, err = io.Copy(file, in); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	return file, errors.Join(err, in.Close())
}

func importFile(c *cli.Context, a *admin.Admin, name string, in io.Reader) error {
	done, err := a.Import(c.Context, "import", operatorName(), admin.Lines(in))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	warnRefused(c, name, &done)
	show(c, done, func(w io.Writer) {
		fmt.Fprintf(w, "%s, %s changed, %d refused\n", words.Count(done.Lines, "line"), words.Count(done.Changed, "identity"), done.Refused)
		printLater(w, done.Later)
	})
	return nil
}

// warnRefused prints why lines were refused.
func warnRefused(c *cli.Context, name string, done *admin.Imported) {
	for _, reason := range done.Reasons {
		fmt.Fprintf(c.App.ErrWriter, "tlsratchet: warning: %s: refused %s\n", name, strings.Map(printable, reason))
	}
	if more := done.Refused - len(done.Reasons); more > 0 {
		fmt.Fprintf(c.App.ErrWriter, "tlsratchet: warning: %s: refused %d more lines\n", name, more)
	}
}

// printLater prints that other hosts follow, if that is so.
func printLater(w io.Writer, later string) {
	if later != "" {
		fmt.Fprintln(w, later)
	}
}
