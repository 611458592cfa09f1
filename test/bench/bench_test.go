package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tlsratchet/internal/peer"
	"tlsratchet/test/bench/measure"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// TestTreeCPU: a process and its children, those that have ended too.
func TestTreeCPU(t *testing.T) {
	busy := func() *exec.Cmd {
		return exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read end; true")
	}
	if err := busy().Run(); err != nil {
		t.Fatal(err)
	}
	ended := treeCPU(os.Getpid()) - processClock(os.Getpid())
	if ended <= 0 {
		t.Errorf("%v of a child that has ended", ended)
	}
	child := busy()
	out, err := child.StdoutPipe()
	in, failed := child.StdinPipe()
	if err := errors.Join(err, failed, child.Start()); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	worked := processClock(child.Process.Pid)
	if all := treeCPU(os.Getpid()); worked <= 0 || all < worked+ended {
		t.Errorf("%v, of a child %v, of one that has ended %v", all, worked, ended)
	}
	in.Close()
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	if got := treeCPU(-1) + (*process)(nil).cpu(); got != 0 {
		t.Errorf("%v of no process", got)
	}
	for _, odd := range []string{"", "123 (cut) S 1 2 3", "123 (odd (b) S 9 9) c) S x y"} {
		if got := ticks(statFields(odd)); got != 0 {
			t.Errorf("%q: %v", odd, got)
		}
	}
}

func TestCPUModel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nmodel name\t: AMD EPYC: 9\nmodel name\t: other\n": "AMD EPYC: 9",
		"": "unknown CPU",
	} {
		if got := cpuModel(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTail(t *testing.T) {
	var tail tail
	tail.Write([]byte(strings.Repeat("x", maxTail)))
	tail.Write([]byte("last line\n"))
	if got := tail.String(); len(got) != maxTail-1 || !strings.HasSuffix(got, "xlast line") {
		t.Errorf("%d bytes: …%q", len(got), got[len(got)-20:])
	}
}

// Every peer has an address and a network of its own, and a domain or none.
func TestPeers(t *testing.T) {
	addresses, networks, domains := map[string]bool{}, map[tlsstate.Identity]bool{}, map[string]bool{}
	all := append(clients(peerCount), local(sources, "20025")...)
	for _, c := range all {
		p, err := peer.Identify(c.Client)
		if err != nil || p.Listener.IsZero() {
			t.Fatalf("%+v: %+v, %v", c, p, err)
		}
		prefix, err := p.IP.Prefix(24)
		if err != nil {
			t.Fatal(err)
		}
		addresses[c.Addr] = true
		networks[tlsstate.Identity{Name: prefix.String()}] = true
		domains[p.Domain.Name] = true
	}
	if len(addresses) != len(all) || len(networks) < sources || len(domains) != peerCount/4+1 {
		t.Errorf("%d peers: %d addresses, %d networks, %d domains", len(all), len(addresses), len(networks), len(domains))
	}
	if m := mail(all[0]); len(m.Headers) != 12 || len(m.Body) < 4000 || len(m.Body) > 4200 {
		t.Errorf("%d headers, %d bytes", len(m.Headers), len(m.Body))
	}
	if m := smtpMail(64); len(m.Header) != 12 || strings.Contains(m.Body, "\r") || len(m.Body) < 62_000 || len(m.Body) > 68_000 {
		t.Errorf("%+v", m)
	}
}

// What is taught makes a message that changes nothing.
func TestTeach(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.db")
	all, now := clients(8), time.Now()
	if err := teach(t.Context(), file, all, now); err != nil {
		t.Fatal(err)
	}
	f, err := store.Open(file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := newRatchet(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		s, err := sessionOf(c, now)
		if err != nil {
			t.Fatal(err)
		}
		if d := r.Decide(&s); d.Outcome != tlsstate.Steady || d.Changes {
			t.Errorf("%s: %v, changes %v", c.Addr, d.Outcome, d.Changes)
		}
	}
	if err := teach(t.Context(), file, all, now); !errors.Is(err, store.ErrLocked) {
		t.Errorf("of a file in use: %v", err)
	}
	if err := teach(t.Context(), file+".new", []client{{Client: peer.Client{Addr: "nonsense"}}}, now); !errors.Is(err, peer.ErrNoAddress) {
		t.Errorf("a client without an address: %v", err)
	}
}

func TestLargeHistory(t *testing.T) {
	dir := t.TempDir()
	var output bytes.Buffer
	for range 2 { // made, then found
		file, err := largeHistory(t.Context(), dir, 1000, &output)
		if err != nil {
			t.Fatal(err)
		}
		f, err := store.Open(file, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if f.Len() != 1000 {
			t.Errorf("%d identities", f.Len())
		}
		f.Close()
	}
	if n := strings.Count(output.String(), "making"); n != 1 {
		t.Errorf("made %d times", n)
	}
}

// A milter that ends by itself is an error with its last output.
func TestProcessThatEnds(t *testing.T) {
	p, err := startProcess(t.Context(), "sh", filepath.Join(t.TempDir(), "m"), "/bin/sh", "-c", "echo no socket >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.answers(t.Context()); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("answers: %v", err)
	}
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("stop: %v", err)
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := compileC(t.Context(), t.TempDir(), os.Stderr); !errors.Is(err, errNoC) {
		t.Errorf("got %v", err)
	}
}

func even(rate float64) measure.Series {
	f := measure.Figures{Rate: rate, P50: 100 * time.Microsecond, P99: 2 * time.Millisecond, CPU: 30 * time.Microsecond}
	return measure.Series{f, f}
}

func sample() *report {
	r := &report{options: &options{sessions: 8, rounds: 2}}
	r.machine = machine{cpu: "CPU", kernel: "Linux 6", cores: 2, before: "0.10", after: "6.00", versions: []string{"tlsratchet v1", "go1.26"}}
	r.parts = []part{{partJudge, 35.4, 0}, {partDecide, 700, 3}}
	r.milters = []sessions{{200, standings{{nameOurs, even(38000)}, {nameGo, even(40000)}, {nameC, even(32000)}}}}
	r.mail = []mailing{{kilobytes: 4, standings: standings{{nameNone, even(1000)}, {nameOurs, even(960)}}}}
	r.starts = &starts{identities: 1_000_000, bytes: 150e6, warm: []float64{0.8, 0.7, 2}, cold: []float64{1.5}}
	r.leaveOut("something", errors.New("it isn't there"))
	return r
}

func TestAims(t *testing.T) {
	want := []aim{
		{"allocations of " + partJudge, "at most 0", "0", true, false},
		{"allocations of " + partDecide, "at most 2", "3", false, false},
		{"rate to " + nameGo + ", 200 a session", "at least 0.93", "0.95", true, false},
		{"rate to " + nameC + ", 200 a session", "at least 1.10", "1.19", true, false},
		{"p99 to " + nameC + ", 200 a session", "at most 1.50", "1.00", true, false},
		{"start with 1,000,000 identities", "1 s", "0.80 s", true, false},
	}
	if diff := cmp.Diff(want, sample().allAims(), cmp.AllowUnexported(aim{})); diff != "" {
		t.Error(diff)
	}
}

// An aim of what mail costs is met or missed where the noise can't change that,
// and else open.
func TestCostAims(t *testing.T) {
	cost := func(us ...int) (s measure.Series) {
		for _, v := range us {
			s = append(s, measure.Figures{System: time.Duration(v) * time.Microsecond, Switches: 4})
		}
		return s
	}
	none, c := cost(1000, 2000, 1000, 1000), cost(1100, 2100, 1100, 1100)
	for _, tt := range []struct {
		ours, policy measure.Series
		want         []string
	}{
		{cost(1080, 2080, 1080, 1080), cost(1060, 2060, 1060, 1060), []string{"0.80 met", "0.60 missed"}},
		{cost(1080, 2300, 1080, 1000), cost(1020, 2020, 1020, 1020), []string{"0.80 open", "0.20 met"}},
	} {
		r := report{options: &options{}, mail: []mailing{{kilobytes: 4, costs: []costing{{2, standings{{nameNone, none}, {nameC, c}, {nameOurs, tt.ours}, {nameOursPolicy, tt.policy}}}}}}}
		var b bytes.Buffer
		r.tables(&b)
		text := regexp.MustCompile(`[ |]+`).ReplaceAllString(b.String(), " ")
		for i, want := range tt.want {
			if want = []string{" at most 0.9 ", " at most 0.5 "}[i] + want; !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		if want := " do-nothing libmilter (C) 1.10 ms - 100 µs (100 to 100) 1.00 4.0 "; !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// The tables: what was left out is listed, ratios that can't be had are dashes
// or columns that are not there.
func TestReport(t *testing.T) {
	var b bytes.Buffer
	if err := sample().document(&b); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(` +`).ReplaceAllString(b.String(), " ")
	for _, want := range []string{
		"2 cores, CPU, Linux 6.", "tlsratchet v1; go1.26", "0.10 before, 6.00 after", "2 rounds",
		"Left out: something (it isn't there).",
		"| tlsratchet, whole work done | 38,000 (38,000 to 38,000) | 100 µs | 2.00 ms | 30 µs | 0.95 | 1.19 | 1.00 |",
		"| no milter | 1,000 (1,000 to 1,000) | 100 µs | 2.00 ms | 30 µs | 1.00 |",
		"1,000,000 stored", "150 MB", "| file in the page cache | 0.80 s | 2.00 s |",
		"Judge, one identity", "35 ns",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}
