package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

func breakerCommand(stdout, stderr io.Writer) *cli.Command {
	return &cli.Command{
		Name:  "breaker",
		Usage: "show the circuit breaker, or override it",
		Flags: operatorFlags(
			&cli.StringFlag{Name: "set", Usage: "`ANSWER`: armed, softened or suspended; auto ends the override"},
			&cli.StringFlag{Name: "why", Usage: "`TEXT` for the log; must be there with --set"},
		),
		Action: operation(func(c *cli.Context, a admin.Admin) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.IsSet("why") && !c.IsSet("set") {
				return usagef("--why is for --set ANSWER: armed, softened, suspended or auto")
			}
			return showBreaker(c, a, stdout)
		}, stderr),
	}
}

var answerPaint = map[ratchet.Answer]paint{ratchet.Armed: green, ratchet.Softened: yellow, ratchet.Suspended: red}

// breakerShown is a breaker's state as JSON.
type breakerShown struct {
	ratchet.BreakerState
	// Effective is the answer that mail is given, an override included, and
	// Means what that does, in words.
	Effective ratchet.Answer `json:"effective"`
	Means     string         `json:"means"`
}

// override is what --set and --why ask for; the zero one without --set.
func override(c *cli.Context) (o admin.Override) {
	if answer := c.String("set"); answer != "" {
		o = admin.Override{Answer: answer, Why: c.String("why"), Who: operatorName()}
	}
	return o
}

func showBreaker(c *cli.Context, a admin.Admin, w io.Writer) error {
	state, err := a.Breaker(c.Context, override(c))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(breakerShown{state, state.Holds(), words.Breaker(&state)})
	}
	holds := state.Holds()
	fmt.Fprintf(w, "%s: %s\n", brushFor(w).colour(answerPaint[holds], holds.String()), words.Breaker(&state))
	if state.Override != nil {
		fmt.Fprintf(w, "Without the operator's setting it would be %s.\n", state.Answer)
	}
	if !state.Since.IsZero() {
		fmt.Fprintf(w, "It found this on %s: %s.\n", state.Since.UTC().Format(time.RFC3339), state.Answer)
	}
	for _, n := range state.Recent {
		fmt.Fprintf(w, "  %s  %s\n", n.At.UTC().Format(time.RFC3339), n.Name)
	}
	return nil
}
