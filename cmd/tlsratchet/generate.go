package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// The completion scripts ask the program itself what may come next.
const bashCompletion = `_tlsratchet() {
    local cur=${COMP_WORDS[COMP_CWORD]} words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    [[ $cur == -* ]] && words+=("$cur")
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
    [[ $cur == -* ]] && asked+=("$cur")
    found=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then _describe tlsratchet found; else _files; fi
}
compdef _tlsratchet tlsratchet
`

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
		return app.ToManWithSection(8)
	case "fish":
		return app.ToFishCompletion()
	case "bash":
		return bashCompletion, nil
	case "zsh":
		return zshCompletion, nil
	}
	return "", usageError{fmt.Errorf("unknown %q: use man, bash, zsh or fish", what)}
}
