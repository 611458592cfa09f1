package outbound

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
)

// ids gathers the queue ids of deliveries.
type ids struct {
	mu  sync.Mutex
	all []string
	use map[string]maillog.TLSUse
}

func (i *ids) Delivered(d *maillog.Delivery) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.use == nil {
		i.use = make(map[string]maillog.TLSUse)
	}
	i.all = append(i.all, d.QueueID)
	i.use[d.QueueID] = d.TLS
}
func (i *ids) Removed(string) {}

func (i *ids) seen() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.all...)
}

// eventually waits, as long as the test may take: a busy machine is no fault.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end, limited := t.Deadline()
	for end = end.Add(-10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if limited && time.Now().After(end) {
			t.Fatalf("never came: %s", what)
		}
	}
}

// writer writes a log as syslog daemons do: whole lines, into a file that it
// keeps open until reopen.
type writer struct {
	t    *testing.T
	mu   sync.Mutex
	path string
	f    *os.File
	n    int
}

func newWriter(t *testing.T) *writer {
	w := &writer{t: t, path: filepath.Join(t.TempDir(), "mail.log")}
	w.reopen()
	t.Cleanup(func() { w.f.Close() })
	return w
}

func (w *writer) reopen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f != nil {
		w.f.Close()
	}
	var err error
	if w.f, err = os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		w.t.Error(err)
	}
}

func delivery(n int) string {
	return fmt.Sprintf("%s mx postfix/smtp[77]: Q%d: to=<a@bank.test>, relay=mx.bank.test[192.0.2.1]:25, delay=0.1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)\n",
		time.Now().Format(time.RFC3339Nano), n)
}

func encrypted() string {
	return fmt.Sprintf("%s mx postfix/smtp[77]: Untrusted TLS connection established to mx.bank.test[192.0.2.1]:25: TLSv1.3 with cipher X (256/256 bits)\n",
		time.Now().Format(time.RFC3339Nano))
}

func (w *writer) write(lines int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range lines {
		w.n++
		if _, err := fmt.Fprint(w.f, delivery(w.n)); err != nil {
			w.t.Error(err) // the disk is full
		}
	}
}

// follow reads the log until stop, which returns the cursor.
func follow(path string, sink maillog.DeliverySink, from Cursor) (f *Follower, stop func() Cursor) {
	f = &Follower{Source: path, Sink: sink, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	f.Begin(from)
	go func() { defer close(done); f.Run(ctx) }()
	return f, func() Cursor { cancel(); <-done; return f.Cursor() }
}

// once checks that each line was read, in order, and none twice.
func (w *writer) once(found *ids) {
	w.t.Helper()
	all := found.seen()
	for i, id := range all {
		if id != fmt.Sprintf("Q%d", i+1) {
			w.t.Fatalf("delivery %d of %d is %s", i+1, len(all), id)
		}
	}
	if len(all) != w.n {
		w.t.Errorf("%d of %d read", len(all), w.n)
	}
}

// TestBegin: what is logged after Begin is read, though Run comes later, as it
// does while Postfix's settings are asked for.
func TestBegin(t *testing.T) {
	w := newWriter(t)
	for _, exists := range []bool{true, false} {
		if !exists {
			os.Remove(w.path)
		}
		found := &ids{}
		f := &Follower{Source: w.path, Sink: found, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
		w.n = -1
		w.write(1)
		f.Begin(Cursor{})
		if !exists {
			w.reopen()
		}
		w.write(3)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		eventually(t, "three deliveries", func() bool { return len(found.seen()) >= 3 })
		cancel()
		<-done
		if got := strings.Join(found.seen(), " "); got != "Q1 Q2 Q3" {
			t.Errorf("a log that exists %t: read %s", exists, got)
		}
	}
}

// TestLogOfAnotherKind: where outbound.log was a file and is the journal now, or the
// other way round, the place in the old one is none in the new one.
func TestLogOfAnotherKind(t *testing.T) {
	w := newWriter(t)
	w.write(3)
	begin := func(source string, journal bool, from Cursor) Cursor {
		f := &Follower{Source: source, Journal: journal, Sink: &ids{}, Now: time.Now}
		f.Begin(from)
		return f.Cursor()
	}
	file, journal := begin(w.path, false, Cursor{}), begin("journal", true, Cursor{})
	if file.Offset == 0 || journal.At == 0 {
		t.Fatalf("%+v, %+v", file, journal)
	}
	if c := begin("journal", true, file); c.At < journal.At {
		t.Errorf("the journal is read from %+v", c)
	}
	if c := begin(w.path, false, journal); c != file {
		t.Errorf("the file is read from %+v, want its end %+v", c, file)
	}
	if c := begin(w.path, false, file); c != file {
		t.Errorf("the same file is read from %+v, want %+v", c, file)
	}
}

// TestOtherHostsInTheLog: the processes of other hosts are not those that ask here,
// though they have the same numbers. One host alone is this one, whatever its name is.
func TestOtherHostsInTheLog(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ hosts, want string }{
		"one host":   {"anything", "77"},
		"ours":       {"other " + own + " " + strings.ToUpper(label(own)) + ".example", "77 77 77"},
		"of others":  {own + " other", "77 0"},
		"two others": {"a b a", "77 0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var got pids
			f := &Follower{Source: "mail.log", Sink: &got, Now: time.Now}
			if f.Begin(Cursor{Offset: 1}); !f.Stats().Last.IsZero() {
				t.Errorf("before the first line: %+v", f.Stats())
			}
			for n, host := range strings.Fields(tt.hosts) {
				l, ok := maillog.NewLines(time.Now).Read([]byte(strings.Replace(strings.TrimSpace(delivery(n)), " mx ", " "+host+" ", 1)))
				if !ok {
					t.Fatal(host)
				}
				f.read(&l)
			}
			if age := time.Since(f.Stats().Last); age < 0 || age > time.Hour {
				t.Errorf("the newest line is %s old", age)
			}
			if s := strings.Trim(fmt.Sprint(got), "[]"); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}

// pids gathers the processes of deliveries.
type pids []uint32

func (p *pids) Delivered(d *maillog.Delivery) { *p = append(*p, d.PID) }
func (p *pids) Removed(string)                {}

// TestRotationUnderLoad: no delivery is missed or read twice, whichever way a log
// is rotated.
func TestRotationUnderLoad(t *testing.T) {
	for name, rotate := range map[string]func(w *writer, n int){
		"renamed, and made anew before the writer knows": func(w *writer, n int) {
			os.Rename(w.path, fmt.Sprintf("%s.%d", w.path, n))
			os.WriteFile(w.path, nil, 0o600)
			w.write(40)
			w.reopen()
		},
		"renamed, and made anew by the writer": func(w *writer, n int) {
			os.Rename(w.path, fmt.Sprintf("%s.2026010%d", w.path, n))
			w.write(40)
			w.reopen()
		},
		"copied and truncated": func(w *writer, n int) {
			w.mu.Lock() // what is written between the two is lost to everybody
			defer w.mu.Unlock()
			b, _ := os.ReadFile(w.path)
			os.WriteFile(fmt.Sprintf("%s.%d", w.path, n), b, 0o600)
			os.Truncate(w.path, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, found := newWriter(t), &ids{}
			_, stop := follow(w.path, found, Cursor{})
			defer stop()
			begin(t, w, found)
			var load sync.WaitGroup
			for round := range 4 {
				rotated := make(chan struct{})
				load.Go(func() {
					for after := 0; after < 3; time.Sleep(10 * time.Millisecond) {
						w.write(25)
						select {
						case <-rotated:
							after++
						default:
						}
					}
				})
				// A log that is empty at one look, and rotated again before the next, is nobody's.
				before := len(found.seen())
				eventually(t, "a line of this round", func() bool { return len(found.seen()) > before })
				rotate(w, round)
				close(rotated)
				load.Wait()
				eventually(t, "the last line", func() bool { return len(found.seen()) >= w.n })
			}
			w.once(found)
		})
	}
}

// begin waits until the log is followed. What was written before then is left
// out of the count.
func begin(t *testing.T, w *writer, found *ids) {
	t.Helper()
	eventually(t, "the follower", func() bool { w.write(1); return len(found.seen()) > 0 })
	eventually(t, "its lines", func() bool { all := found.seen(); return all[len(all)-1] == fmt.Sprintf("Q%d", w.n) })
	found.mu.Lock()
	defer found.mu.Unlock()
	found.all, w.n = nil, 0
}

// TestCursorOutlivesARestart, with whatever happened to the log meanwhile.
func TestCursorOutlivesARestart(t *testing.T) {
	for name, meanwhile := range map[string]func(w *writer){
		"nothing":  func(*writer) {},
		"lines":    func(w *writer) { w.write(10) },
		"a rename": func(w *writer) { w.write(10); os.Rename(w.path, w.path+".1"); w.reopen(); w.write(10) },
		"a copy": func(w *writer) {
			w.write(10)
			b, _ := os.ReadFile(w.path)
			os.WriteFile(w.path+"-20260101", b, 0o600)
			os.Truncate(w.path, 0)
			w.write(10)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, found := newWriter(t), &ids{}
			_, stop := follow(w.path, found, Cursor{})
			begin(t, w, found)
			w.write(5)
			eventually(t, "five lines", func() bool { return len(found.seen()) == 5 })
			cursor := stop()
			meanwhile(w)
			_, stop = follow(w.path, found, cursor)
			defer stop()
			w.write(5)
			eventually(t, "the last line", func() bool { return len(found.seen()) >= w.n })
			w.once(found)
		})
	}
}

// What began before a stop is known after it, wherever the log is then.
func TestTLSBeforeARestart(t *testing.T) {
	for name, meanwhile := range map[string]func(w *writer){
		"nothing":  func(*writer) {},
		"a rename": func(w *writer) { os.Rename(w.path, w.path+".1"); w.reopen() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, found := newWriter(t), &ids{}
			f, stop := follow(w.path, found, Cursor{})
			begin(t, w, found)
			before := f.Stats().Lines
			fmt.Fprint(w.f, encrypted())
			eventually(t, "its line", func() bool { return f.Stats().Lines > before })
			cursor := stop()
			meanwhile(w)
			_, stop = follow(w.path, found, cursor)
			defer stop()
			w.write(1)
			eventually(t, "the delivery", func() bool { return len(found.seen()) == 1 })
			if use := found.use["Q1"]; use != maillog.Encrypted {
				t.Errorf("use %d, want encrypted", use)
			}
		})
	}
}

// A log that is compressed as it is rotated, as by "postfix logrotate", was read to
// its end before: what began in it ends in the new one.
func TestTLSBeforeARotation(t *testing.T) {
	w, found := newWriter(t), &ids{}
	f, stop := follow(w.path, found, Cursor{})
	defer stop()
	begin(t, w, found)
	before := f.Stats().Lines
	fmt.Fprint(w.f, encrypted())
	eventually(t, "its line", func() bool { return f.Stats().Lines > before })
	os.Rename(w.path, w.path+".1.gz")
	w.reopen()
	w.write(1)
	eventually(t, "the delivery", func() bool { return len(found.seen()) == 1 })
	if use := found.use["Q1"]; use != maillog.Encrypted {
		t.Errorf("use %d, want encrypted", use)
	}
}

// A log that was empty at the stop, and was renamed since, is read under its new name.
func TestEmptyLogIsRenamed(t *testing.T) {
	w, found := newWriter(t), &ids{}
	f := &Follower{Source: w.path, Sink: found, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
	f.Begin(Cursor{})
	w.write(3)
	os.Rename(w.path, w.path+".1")
	w.reopen()
	w.write(2)
	_, stop := follow(w.path, found, f.Cursor())
	defer stop()
	eventually(t, "the last line", func() bool { return len(found.seen()) >= w.n })
	w.once(found)
}

// What else stands in a log, or is no log at all, makes no delivery of its own, and
// none is missed for it.
func TestGarbageInTheLog(t *testing.T) {
	w, found := newWriter(t), &ids{}
	_, stop := follow(w.path, found, Cursor{})
	defer stop()
	begin(t, w, found)
	forged := delivery(999)
	for _, garbage := range []string{
		"\n\n", "\xff\xfe\x00\n", "x\r\n", strings.Repeat("\x00", 4096) + "\n", strings.Repeat("long ", 3*maxLine) + forged,
		strings.Repeat("x", maxLine) + forged, strings.TrimSuffix(forged, ")\n")[:80] + "\n",
	} {
		fmt.Fprint(w.f, garbage)
		w.write(3)
	}
	eventually(t, "the last line", func() bool { return len(found.seen()) >= w.n })
	w.once(found)
}

// A pipe in place of the log is an error, and holds up no stop.
func TestPipeIsNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, stop := follow(path, &ids{}, Cursor{})
	eventually(t, "a fault", func() bool { return strings.Contains(f.Stats().Fault, "no regular file") })
	stop()
}

func TestMissingLogIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.log")
	f, stop := follow(path, &ids{}, Cursor{})
	defer stop()
	eventually(t, "a fault", func() bool { return strings.Contains(f.Stats().Fault, "no such file") })
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return f.Stats().Fault == "" })
}

// TestRemovedIsReadOnce: that a message left the queue is passed on, where it was not
// before the last stop.
func TestRemovedIsReadOnce(t *testing.T) {
	var got gone
	f := &Follower{Source: "mail.log", Sink: &got, Now: time.Now}
	f.Begin(Cursor{Offset: 1})
	for _, muted := range []bool{true, false} {
		f.muted = muted
		f.read(&maillog.Line{At: time.Now(), Program: "postfix/qmgr", PID: 1, Message: fmt.Appendf(nil, "Q%t: removed", muted)})
	}
	if fmt.Sprint(got.all) != "[Qfalse]" {
		t.Error(got.all)
	}
}

// gone gathers the messages that left the queue.
type gone struct{ ids }

func (g *gone) Removed(queueID string) { g.all = append(g.all, queueID) }

// TestJournalMatches: in a journal that others forward to, only this machine's count.
func TestJournalMatches(t *testing.T) {
	for machine, want := range map[string]string{
		"":  "SYSLOG_FACILITY=2 + SYSLOG_IDENTIFIER=systemd-journald",
		"x": "SYSLOG_FACILITY=2 _MACHINE_ID=x + SYSLOG_IDENTIFIER=systemd-journald _MACHINE_ID=x",
	} {
		if got := strings.Join(journalMatches(machine), " "); got != want {
			t.Errorf("%q: %s, want %s", machine, got, want)
		}
	}
}

// The end of the daemon is no fault of the log, and leaves no journalctl behind.
func TestJournalEndsWithTheDaemon(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "journalctl"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.args\"\necho '{}'\nexec sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	var log strings.Builder
	f := &Follower{
		Source: "journal", Journal: true, Sink: &ids{}, Wanted: func() bool { return true }, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	f.Begin(Cursor{Journal: "s=1", At: recorded})
	f.note(errors.New("as it was before"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	eventually(t, "the journal", func() bool { return f.Stats().Fault == "" })
	cancel()
	<-done
	if n := strings.Count(log.String(), "can't be read"); n != 1 {
		t.Errorf("%d faults were logged, want the first alone:\n%s", n, log.String())
	}
	args, err := os.ReadFile(filepath.Join(bin, "journalctl.args"))
	if since := fmt.Sprintf("--since=@%d\n", recorded/1_000_000-int64(rereadTime.Seconds())); err != nil || !strings.Contains(string(args), since) {
		t.Errorf("%v, no %s in %s", err, since, args)
	}
}

// TestJournalFails: why journalctl(1) ended is what it printed, or how it ended.
func TestJournalFails(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for script, want := range map[string]string{
		"echo 'Bad file' >&2; exit 3": "journalctl: Bad file", "exit 3": "journalctl: exit status 3", "": "journalctl: ended",
		"echo 'No permission' >&2; exit 1": "the daemon needs the group systemd-journal",
	} {
		if err := os.WriteFile(filepath.Join(bin, "journalctl"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		f := &Follower{Source: "journal", Journal: true, Sink: &ids{}, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
		f.Begin(Cursor{})
		if err := f.journal(t.Context()); !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", script, err, want)
		}
	}
}

// journalRecord is one record as journalctl -o json writes it, so many microseconds
// after the begin of the recording.
func journalRecord(n, micros int, message string) string {
	return fmt.Sprintf(`{"__CURSOR":"s=1;i=%d","__REALTIME_TIMESTAMP":"%d","SYSLOG_IDENTIFIER":"postfix/smtp","SYSLOG_PID":"77","_PID":"9","MESSAGE":%s}`+"\n", n, recorded+int64(micros), message)
}

const (
	recorded    = int64(1_800_000_000_000_000)
	journalSent = `"Q%d: to=<a@bank.test>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)"`
)

// readRecords reads a recorded stream through the code that reads journalctl.
func readRecords(stream string, from Cursor) (*Follower, *ids) {
	found := &ids{}
	f := &Follower{Source: "journal", Sink: found, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
	f.joiner = maillog.NewDeliveries(mutedSink{f})
	f.readJournal(bufio.NewReaderSize(strings.NewReader(stream), maxLine), from)
	return f, found
}

func TestJournal(t *testing.T) {
	bytes := "["
	for i, c := range []byte("Untrusted TLS connection established to mx[192.0.2.1]:25: TLSv1.3 with cipher X (1/1 bits)") {
		if i > 0 {
			bytes += ","
		}
		bytes += fmt.Sprint(c)
	}
	stream := journalRecord(1, 1, fmt.Sprintf(journalSent, 1)) + "no JSON\n" + journalRecord(2, 2, bytes+"]") +
		strings.Repeat("x", 2*maxLine) + "\n" + journalRecord(3, 3, fmt.Sprintf(journalSent, 3))
	f, found := readRecords(stream, Cursor{Journal: "s=1;i=1", At: recorded + 1})
	if got := fmt.Sprint(found.all, found.use["Q3"]); got != fmt.Sprint([]string{"Q3"}, maillog.Encrypted) {
		t.Errorf("%s: the first was read before, the second is encrypted", got)
	}
	if c := f.Cursor(); c.Journal != "s=1;i=3" || c.At != recorded+3 {
		t.Errorf("cursor %+v", c)
	}
}

// Only lines about deliveries count: those of other programs don't show that a
// release could be counted.
func TestLinesOfOthersDoNotCount(t *testing.T) {
	record := journalRecord(1, 1, fmt.Sprintf(journalSent, 1))
	for program, want := range map[string]uint64{
		"postfix/smtp": 1, "postfix-out/qmgr": 1, "postfix/error": 1, "postfix/smtpd": 0, "dovecot": 0, "systemd-journald": 0,
	} {
		if f, _ := readRecords(strings.Replace(record, "postfix/smtp", program, 1), Cursor{At: recorded}); f.Stats().Lines != want || f.Stats().Last.IsZero() != (want == 0) {
			t.Errorf("%s: %+v, want %d lines", program, f.Stats(), want)
		}
	}
}

// TestJournalCursor: what stands behind the cursor is read once, in whatever time.
func TestJournalCursor(t *testing.T) {
	for name, tt := range map[string]struct {
		micros []int // of the records 1, 2 and so on
		from   Cursor
		want   string
	}{
		"in order":                   {[]int{1, 2, 3}, Cursor{Journal: "s=1;i=1", At: recorded + 1}, "[Q2 Q3]"},
		"several in one microsecond": {[]int{1, 1, 1}, Cursor{Journal: "s=1;i=2", At: recorded + 1}, "[Q3]"},
		"the clock was set back":     {[]int{9, 2, 3}, Cursor{Journal: "s=1;i=1", At: recorded + 9}, "[Q2 Q3]"},
		"and later again":            {[]int{9, 12, 3}, Cursor{At: recorded + 10}, "[Q2 Q3]"},
		"the cursor's is gone":       {[]int{1, 2, 3}, Cursor{Journal: "s=0;i=7", At: recorded + 1}, "[Q2 Q3]"},
		"no cursor yet":              {[]int{1, 2, 3}, Cursor{At: recorded + 2}, "[Q3]"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := ""
			for i, at := range tt.micros {
				stream += journalRecord(i+1, at, fmt.Sprintf(journalSent, i+1))
			}
			if _, found := readRecords(stream, tt.from); fmt.Sprint(found.all) != tt.want {
				t.Errorf("%v, want %s", found.all, tt.want)
			}
		})
	}
}

// A log that can't be read any more is opened again, which ends the fault.
func TestReadError(t *testing.T) {
	w := newWriter(t)
	w.write(1)
	f := &Follower{Source: w.path, Sink: &ids{}, Now: time.Now, Log: quiet}
	l, err := f.newLog(w.path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := l.run(t.Context()); err == nil {
		t.Error("it goes on")
	}
}

// TestUnreadable: a log that opens and can't be read is one trouble, not one for each try.
func TestUnreadable(t *testing.T) {
	const path = "/proc/self/mem" // there is nothing at 0
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	f := &Follower{Source: path, Sink: &ids{}, Wanted: func() bool { return true }, Now: time.Now, Log: slog.New(slog.NewTextHandler(&b, nil))}
	f.Begin(Cursor{})
	for range 3 {
		err := f.file(t.Context())
		if err == nil {
			t.Fatal("it is read")
		}
		f.note(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &b)
	}
}

// stopper stops the follower at the first delivery.
type stopper struct {
	ids
	stop func()
}

func (s *stopper) Delivered(d *maillog.Delivery) { s.ids.Delivered(d); s.stop() }

// TestStopInABacklog: a stop does not wait until all is read that was written while
// the daemon was down, and the next start goes on there.
func TestStopInABacklog(t *testing.T) {
	w := newWriter(t)
	w.write(1500)
	if err := os.Rename(w.path, w.path+".1"); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.write(1500)
	old, err := (&Follower{Now: time.Now}).newLog(w.path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	at := old.at
	at.Offset = 0
	var found ids
	stops := 0
	for len(found.all) < w.n {
		ctx, cancel := context.WithCancel(t.Context())
		sink := &stopper{stop: cancel}
		f := &Follower{Source: w.path, Sink: sink, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
		f.Begin(at)
		f.Run(ctx)
		if len(sink.all) == 0 {
			t.Fatal("nothing is read")
		}
		at, stops = f.Cursor(), stops+1
		found.all = append(found.all, sink.all...)
	}
	w.once(&found)
	if stops < 4 {
		t.Errorf("%d starts read all", stops)
	}
}

// TestFollowReread: what is read once more after a restart does not set the cursor
// back: who stops in the middle would learn from those lines twice.
func TestFollowReread(t *testing.T) {
	w := newWriter(t)
	w.write(10)
	var found ids
	_, stop := follow(w.path, &found, Cursor{Inode: 1, HeadSize: 1}) // of another file: all of it is new
	eventually(t, "all", func() bool { return len(found.seen()) == 10 })
	kept := stop()
	f := &Follower{Source: w.path, Sink: &found, Now: time.Now, Log: quiet}
	f.Begin(kept)
	l, err := f.open(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := f.Cursor(); got != kept {
		t.Errorf("the cursor is %+v before the first line, want %+v", got, kept)
	}
	l.drain(t.Context())
	w.once(&found)
}

// TestTruncatedWhileOpened: a log that is copied and truncated just after it was opened
// is read once, and so is its copy.
func TestTruncatedWhileOpened(t *testing.T) {
	w := newWriter(t)
	w.write(1)
	var found ids
	f := &Follower{Source: w.path, Sink: &found, Now: time.Now, Log: quiet}
	f.Begin(Cursor{})
	w.n = 0
	w.write(20)
	l, err := f.newLog(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, _ := os.ReadFile(w.path)
	os.WriteFile(w.path+".1", b, 0o600)
	os.Truncate(w.path, 0)
	w.write(3)
	f.resume(t.Context(), f.Cursor(), l)
	if !l.hasHead(l.at) {
		t.Error("the cursor has the head of the copy: it will be read once more")
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if path, _ := os.Readlink(fd); path == w.path+".1" {
			t.Error("the copy is still open")
		}
	}
	l.drain(t.Context())
	w.once(&found)
}

// TestClearAfterATruncation: what is written between the copy of a log and its truncation
// is lost to everybody, so that nothing is in clear for want of a line. So it is without a
// copy, though the log was renamed before, and that was read to its end.
func TestClearAfterATruncation(t *testing.T) {
	for name, rotate := range map[string]func(*writer, *ids){
		"copied": func(w *writer, _ *ids) {
			b, _ := os.ReadFile(w.path)
			os.WriteFile(w.path+".1", b, 0o600)
		},
		"renamed before": func(w *writer, found *ids) {
			os.Rename(w.path, w.path+".1")
			w.reopen()
			begin(t, w, found)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, found, ago := newWriter(t), &ids{}, time.Hour
			f := &Follower{Source: w.path, Sink: found, Wanted: func() bool { return true }, Now: func() time.Time { return time.Now().Add(-ago) }, Log: quiet}
			f.Begin(Cursor{})
			ago = 0 // so that lines are not missing because it began just now
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { f.Run(ctx) })
			defer running.Wait()
			defer cancel()
			begin(t, w, found)
			rotate(w, found)
			fmt.Fprint(w.f, encrypted())
			os.Truncate(w.path, 0)
			w.write(1)
			eventually(t, "the delivery", func() bool { return len(found.seen()) == 1 })
			if use := found.use["Q1"]; use != maillog.TLSUnknown {
				t.Errorf("use %d, want unknown", use)
			}
		})
	}
}

// TestReadLate: of a log that could not be read before, what came until then is not known.
func TestReadLate(t *testing.T) {
	w, found, ago := newWriter(t), &ids{}, time.Hour
	os.Remove(w.path)
	if err := os.Mkdir(w.path, 0o700); err != nil {
		t.Fatal(err)
	}
	f := &Follower{Source: w.path, Sink: found, Now: func() time.Time { return time.Now().Add(-ago) }, Log: quiet}
	f.Begin(Cursor{})
	ago = 0
	os.Remove(w.path)
	w.reopen()
	l, err := f.open(t.Context(), f.Cursor())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.write(1)
	l.drain(t.Context())
	if use, ok := found.use["Q1"]; !ok || use != maillog.TLSUnknown {
		t.Errorf("use %d, want unknown", use)
	}
}

// TestShortLogIsTruncated: of a log that was cut while it had few lines all new ones are
// read, however many there are by then.
func TestShortLogIsTruncated(t *testing.T) {
	for opened := range 2 { // so many lines
		w := newWriter(t)
		var found ids
		f := &Follower{Source: w.path, Sink: &found, Wanted: func() bool { return true }, Now: time.Now, Log: quiet}
		f.Begin(Cursor{})
		w.write(opened)
		l, err := f.open(t.Context(), f.Cursor())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.write(1 - opened)
		l.drain(t.Context())
		os.Truncate(w.path, 0)
		w.write(9)
		l.drain(t.Context())
		again, err := f.open(t.Context(), f.Cursor())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		again.drain(t.Context())
		w.once(&found)
	}
}

// TestLateWriter: who writes the log may go on with the one that was renamed, while the
// new one is empty.
func TestLateWriter(t *testing.T) {
	w, found := newWriter(t), &ids{}
	_, stop := follow(w.path, found, Cursor{})
	defer stop()
	begin(t, w, found)
	os.Rename(w.path, w.path+".1")
	if err := os.WriteFile(w.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 { // with a look at it between
		time.Sleep(2 * filePoll)
		w.write(1)
	}
	eventually(t, "the lines of the old one", func() bool { return len(found.seen()) >= 3 })
	w.reopen()
	w.write(2)
	eventually(t, "those of the new one", func() bool { return len(found.seen()) >= 5 })
	w.once(found)
}
