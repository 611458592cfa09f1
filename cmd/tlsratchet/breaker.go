package main

import (
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/daemon"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
)

func breakerCommand() *cli.Command {
	return &cli.Command{
		Name:  "breaker",
		Usage: "show the circuit breaker, or override it",
		Flags: overrideFlags("`ANSWER`: armed, softened or suspended; auto ends the override"),
		Action: operationOn(daemon.MustRun, func(c *cli.Context) (job, error) {
			o, err := override(c, admin.BreakerAnswers)
			return answer(c, func(a *admin.Admin) (breakerShown, error) {
				state, err := a.Breaker(c.Context, o)
				return breakerShown{state, state.Holds(), words.Breaker(&state)}, err
			}, breakerShown.print), err
		}),
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

// overrideFlags are those of a command that shows an answer and overrides it.
func overrideFlags(set string) []cli.Flag {
	return operatorFlags(
		&cli.StringFlag{Name: "set", Usage: set},
		&cli.StringFlag{Name: "why", Usage: "`TEXT` for the log; required with --set"})
}

// override is what --set and --why ask for; the zero one without --set.
func override(c *cli.Context, answers []string) (o admin.Override, err error) {
	if answer := c.String("set"); answer != "" {
		o = admin.Override{Answer: answer, Why: c.String("why"), Who: operatorName()}
	} else if c.IsSet("why") {
		return o, usagef("--why is for --set ANSWER")
	}
	return o, o.Check(answers)
}

func (s breakerShown) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", colour(w, answerPaint[s.Effective], s.Effective.String()), s.Means)
	if s.Override != nil {
		fmt.Fprintf(w, "Without the operator's setting it would be %s.\n", s.Answer)
	}
	if !s.Since.IsZero() {
		fmt.Fprintf(w, "Its own answer since %s: %s.\n", s.Since.UTC().Format(time.RFC3339), s.Answer)
	}
	for _, n := range s.Recent {
		fmt.Fprintf(w, "  %s  %s\n", n.At.UTC().Format(time.RFC3339), n.Name)
	}
}
