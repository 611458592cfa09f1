// Package shell makes what man(1) and the shells know of the commands: the manual
// page, and completion for bash, zsh and fish.
package shell

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// ErrUnknown: there is no such page or shell.
var ErrUnknown = errors.New("use man, bash, zsh or fish")

// values are the words that some flags take: --set those of breaker and outbound.
var values = []struct{ flag, words string }{
	{"action", "observe header quarantine tempfail reject"},
	{"kind", "address domain sender listener destination mx network"},
	{"level", "none weak TLSv1.2 TLSv1.3"},
	{"set", "armed softened suspended hold release auto"},
	{"sort", "last first days"},
	{"tls", "none SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"},
}

// The completion scripts know the words of flags, and ask the program itself for
// commands and flags. It lists none after "--", but does after "-".
var (
	//go:embed completion.bash
	bashScript string
	//go:embed completion.zsh
	zshScript string
	//go:embed completion.fish
	fishScript string
	// manualTail is what stands in the manual page after the commands.
	//go:embed tail.8
	manualTail string
)

// Generate returns the manual page ("man"), or the completion script of a shell:
// "bash", "zsh" or "fish". The error wraps [ErrUnknown] for anything else.
func Generate(app *cli.App, what string) (string, error) {
	switch what {
	case "man":
		usageTexts(app.Name, app.Commands)
		page, err := app.ToManWithSection(8)
		return page + "\n" + manualTail, err
	case "fish":
		return withValues(fishScript, "        case --%s\n            string split ' ' '%s'\n            return\n"), nil
	case "bash":
		return withValues(bashScript, "    --%s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n"), nil
	case "zsh":
		return withValues(zshScript, "    --%s) compadd %s; return ;;\n"), nil
	}
	return "", fmt.Errorf("unknown %q: %w", what, ErrUnknown)
}

// withValues puts a line for each flag of values into a script.
func withValues(script, line string) string {
	var lines strings.Builder
	for _, v := range values {
		fmt.Fprintf(&lines, line, v.flag, v.words)
	}
	return strings.Replace(script, "%s", lines.String(), 1)
}

// usageTexts gives each command a line with its arguments.
func usageTexts(above string, commands []*cli.Command) {
	for _, c := range commands {
		name := above + " " + c.Name
		if c.UsageText == "" && len(c.Subcommands) == 0 {
			c.UsageText = name + " [flags] " + c.ArgsUsage
		}
		usageTexts(name, c.Subcommands)
	}
}
