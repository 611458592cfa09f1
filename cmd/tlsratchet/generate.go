package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// values are the words that some flags take. The breaker's are those of --set.
var values = []struct{ flag, words string }{
	{"action", "observe header quarantine tempfail reject"},
	{"kind", "address domain sender listener destination mx"},
	{"level", "none weak TLSv1.2 TLSv1.3"},
	{"set", "armed softened suspended auto"},
	{"sort", "last first days"},
	{"tls", "none SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"},
}

// The completion scripts know the words of flags, and ask the program itself for
// commands and flags. It lists none after "--", but does after "-".
const bashCompletion = `_tlsratchet() {
    local cur=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    case $last in
%s    --config|--history|--postfix|--verdicts) compopt -o default; return ;;
    esac
    case $cur in
    --) words+=(-) ;;
    -*) words+=("$cur") ;;
    esac
    COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null | cut -d: -f1)" -- "$cur"))
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _tlsratchet tlsratchet
`

const zshCompletion = `#compdef tlsratchet
_tlsratchet() {
    local -a found
    local cur=${words[CURRENT]}
    local -a asked=("${(@)words[1,CURRENT-1]}")
    case ${words[CURRENT-1]} in
%s    --config|--history|--postfix|--verdicts) _files; return ;;
    esac
    case $cur in
    --) asked+=(-) ;;
    -*) asked+=("$cur") ;;
    esac
    found=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then _describe tlsratchet found; else _files; fi
}
compdef _tlsratchet tlsratchet
`

// withValues puts a line for each flag of values into a script.
func withValues(script, line string) string {
	var lines strings.Builder
	for _, v := range values {
		fmt.Fprintf(&lines, line, v.flag, v.words)
	}
	return strings.Replace(script, "%s", lines.String(), 1)
}

// generateCommand makes what the build installs beside the program.
func generateCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: "generate", Hidden: true, Usage: "print what the build installs beside the program", ArgsUsage: "man|bash|zsh|fish",
		Action: func(c *cli.Context) error {
			if err := flagsFirst(c); err != nil {
				return err
			}
			what, err := argument(c, "WHAT")
			if err != nil {
				return fmt.Errorf("%w: man, bash, zsh or fish", err)
			}
			text, err := generate(c.App, what)
			if err != nil {
				return err
			}
			_, err = io.WriteString(stdout, text)
			return err
		},
	}
}

func generate(app *cli.App, what string) (string, error) {
	switch what {
	case "man":
		return manual(app)
	case "fish":
		text, err := app.ToFishCompletion()
		return text + withValues("%s", "complete -c tlsratchet -l %s -x -a '%s'\n"), err
	case "bash":
		return withValues(bashCompletion, "    --%s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n"), nil
	case "zsh":
		return withValues(zshCompletion, "    --%s) compadd %s; return ;;\n"), nil
	}
	return "", usageError{fmt.Errorf("unknown %q: use man, bash, zsh or fish", what)}
}
