// Command bench measures tlsratchet: the steps of a decision; milter sessions
// beside milters that do nothing, one on go-milter and two in C; mail through
// a real Postfix with and without them; mail that it sends with and without our
// table; a start on a large memory; and the replay of a log beside grep and
// pflogsumm.
//
// Each contestant is a process of its own, and they take turns, so that what
// else the machine does falls on all of them. Absolute figures are the
// machine's; the ratios count. docs/performance.md is its output.
//
//	go run ./test/bench                          # a minute: milter sessions
//	go run ./test/bench -postfix -sending -start -replay -write docs/performance.md
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"tlsratchet/test/posttest"
)

// options are the flags.
type options struct {
	binary     string
	against    string
	rounds     int
	sessions   int
	messages   int
	lengths    lengths
	mails      int
	identities int
	cache      string
	postfix    bool
	start      bool
	sending    bool
	replay     bool
	lines      int
	steps      bool
	noC        bool
	write      string
	// c is the do-nothing milter in C, "" without.
	c string
}

// shortRounds is how many rounds of deliveries there are, where a turn is short:
// the shorter it is, the more alike are two that are compared.
func (o *options) shortRounds() int { return 6 * o.rounds }

// lengths is a flag: numbers with commas between.
type lengths []int

// String returns the numbers.
func (l lengths) String() string { return strings.Trim(fmt.Sprint([]int(l)), "[]") }

// Set replaces the numbers.
func (l *lengths) Set(text string) error {
	*l = nil
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a number of messages", word)
		}
		*l = append(*l, n)
	}
	return nil
}

// peerCount is how many peers send.
const peerCount = 400

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 2 && args[0] == childArg:
		return doNothing(args[1], stdin, stderr)
	case len(args) == 2 && args[0] == policyArg:
		return doNothingPolicy(args[1], stdin, stderr)
	}
	o, err := parse(args, stderr)
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{lengths: lengths{1, 200}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "tlsratchet", "build/tlsratchet", "measure this `binary`")
	f.StringVar(&o.against, "against", "", "measure this `binary` of tlsratchet beside it, such as the last release's")
	f.IntVar(&o.rounds, "rounds", 7, "rounds that count")
	f.IntVar(&o.sessions, "sessions", 8, "sessions at once")
	f.IntVar(&o.messages, "messages", 4000, "messages of a turn, one a session; four times as many in long sessions; 0 for none")
	f.Var(&o.lengths, "lengths", "messages a session, `numbers` with commas between")
	f.BoolVar(&o.postfix, "postfix", false, "measure mail through a private Postfix too (root)")
	f.IntVar(&o.mails, "mails", 80, "mails of a turn through Postfix, which has more rounds")
	f.BoolVar(&o.start, "start", false, "measure the start on a large history too; making it takes a minute the first time")
	f.IntVar(&o.identities, "identities", 1_000_000, "identities in the large history")
	f.StringVar(&o.cache, "cache", ".cache/bench", "keep the large history and log in `folder`")
	f.BoolVar(&o.replay, "replay", false, "measure the replay of a log too, beside grep -c and pflogsumm; two minutes")
	f.BoolVar(&o.sending, "sending", false, "measure the sending side too, through two private Postfixes (root); half a minute")
	f.IntVar(&o.lines, "lines", 5_000_000, "lines in the log")
	f.BoolVar(&o.steps, "steps", true, "measure the steps of a decision")
	f.BoolVar(&o.noC, "no-c", false, "leave the milters in C out")
	f.StringVar(&o.write, "write", "", "write the report to `file` too")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected %q", f.Arg(0))
	case o.rounds < 1 || o.sessions < 1 || o.messages < 0 || o.mails < 1 || o.identities < 1 || o.lines < 1:
		err = errors.New("numbers must be positive")
	default:
		o.binary, err = filepath.Abs(o.binary)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

func bench(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	if _, err := os.Stat(o.binary); err != nil {
		return fmt.Errorf("%w: run make build first", err)
	}
	debug.SetGCPercent(800) // the generator's garbage is nobody's business
	r := &report{options: o}
	defer func() { _ = os.RemoveAll(r.temporary) }()
	if err := r.measureAll(ctx, stderr); err != nil {
		return err
	}
	if err := r.print(stdout); err != nil || o.write == "" {
		return err
	}
	f, err := os.Create(o.write)
	if err != nil {
		return err
	}
	return errors.Join(r.document(f), f.Close())
}

// measureAll measures what was asked for. What can't be had on this machine is
// left out, with the reason.
func (r *report) measureAll(ctx context.Context, stderr io.Writer) error {
	o := r.options
	r.findC(ctx, stderr)
	if o.postfix || o.sending {
		if err := posttest.Install(stderr); err != nil {
			o.postfix, o.sending = false, false
			r.leaveOut("mail through Postfix", err)
		}
	}
	r.machine = thisMachine(ctx, o)
	steps := []struct {
		what    string
		wanted  bool
		measure func(context.Context, io.Writer) error
	}{
		{"the steps of a decision", o.steps, r.measureParts},
		{"milter sessions", o.messages > 0, r.measureMilters},
		{"mail through Postfix", o.postfix, r.measurePostfix},
		{"the sending side", o.sending, r.measureSending},
		{"the start", o.start, r.measureStart},
		{"the replay of a log", o.replay, r.measureReplays},
	}
	for _, step := range steps {
		if !step.wanted {
			continue
		}
		fmt.Fprintf(stderr, "bench: measuring %s\n", step.what)
		if err := step.measure(ctx, stderr); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	r.machine.after = loadAverage()
	return nil
}

func (r *report) findC(ctx context.Context, stderr io.Writer) {
	if r.noC {
		r.leaveOut("milters in C", errors.New("not wanted"))
		return
	}
	dir, err := os.MkdirTemp("", "bench")
	if err == nil {
		r.temporary = dir
		r.c, err = compileC(ctx, dir, stderr)
	}
	if err != nil {
		r.leaveOut("milters in C", err)
	}
}

func (r *report) measureParts(ctx context.Context, _ io.Writer) (err error) {
	testing.Init() // for testing.Benchmark
	r.parts, err = measureParts(ctx, clients(peerCount))
	return err
}

func (r *report) measureMilters(ctx context.Context, _ io.Writer) error {
	return inFolder(os.TempDir(), func(dir string) (err error) {
		peers := clients(peerCount)
		c := r.options.milters()
		defer func() { err = errors.Join(err, c.close()) }()
		if err := c.begin(ctx, dir, peers); err != nil {
			return err
		}
		all := mails(peers)
		if err := c.works(ctx, all[0]); err != nil {
			return err
		}
		for _, length := range r.lengths {
			s, err := c.sessions(ctx, r.options, length, all)
			if err != nil {
				return err
			}
			r.milters = append(r.milters, sessions{length, s})
		}
		return nil
	})
}

func (r *report) measurePostfix(ctx context.Context, _ io.Writer) error {
	return inFolder(memoryDir(), func(dir string) (err error) {
		s, err := newMailServers(ctx, r.options, dir)
		defer func() { err = errors.Join(err, s.close()) }()
		for _, size := range mailSizes {
			if err != nil {
				break
			}
			var m mailing
			m, err = s.measure(ctx, r.options, size)
			r.mail = append(r.mail, m)
		}
		return err
	})
}

func (r *report) measureStart(ctx context.Context, stderr io.Writer) (err error) {
	r.starts, err = measureStarts(ctx, r.options, stderr)
	return err
}

// inFolder calls do with a new folder that all users may pass through, and
// removes it afterwards.
func inFolder(under string, do func(dir string) error) error {
	dir, err := os.MkdirTemp(under, "bench")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}
