package outbound

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/maillog"
)

// journalFields are what is asked of each record.
const journalFields = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID"

// journalMatches are the records that are read: the mail facility, and notes of
// the journal that it dropped some; of this machine alone.
func journalMatches(machine string) []string {
	if machine != "" {
		machine = "_MACHINE_ID=" + machine
	}
	return slices.DeleteFunc([]string{"SYSLOG_FACILITY=2", machine, "+", "SYSLOG_IDENTIFIER=systemd-journald", machine},
		func(match string) bool { return match == "" })
}

// rereadTime is how much before a cursor is read once more.
const rereadTime = 10 * time.Minute

// journal reads the journal by journalctl(1), which needs no library, until that
// ends, and returns why.
func (f *Follower) journal(ctx context.Context) error {
	from := f.Cursor()
	began := time.UnixMicro(from.At).Add(-rereadTime)
	// Without merge only the current boot is read, which a sandbox with ProcSubset=pid
	// can't find out.
	args := []string{
		"--output=json", "--follow", "--merge", "--no-pager", "--output-fields=" + journalFields,
		"--lines=all", "--since=@" + strconv.FormatInt(began.Unix(), 10),
	}
	machine, _ := os.ReadFile("/etc/machine-id")
	cmd := exec.CommandContext(ctx, "journalctl", append(args, journalMatches(strings.TrimSpace(string(machine)))...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.readJournal(bufio.NewReaderSize(out, maxLine), from)
	err = cmd.Wait()
	why := clean.Text(strings.TrimSpace(errs.String()), 300)
	switch {
	case strings.Contains(why, "permission") || strings.Contains(why, "other users"):
		why += ": the daemon needs the group systemd-journal (SupplementaryGroups=systemd-journal)"
	case why == "" && err != nil:
		why = err.Error()
	}
	return errors.New("journalctl: " + cmp.Or(why, "ended"))
}

// readJournal reads records, one JSON object a line, until the end. Those up to the
// cursor were read before.
func (f *Follower) readJournal(in *bufio.Reader, from Cursor) {
	f.muted = true
	for parse := maillog.NewLines(f.Now); ; {
		line, err := in.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // no line of Postfix is that long
			line = nil
			_, err = in.ReadSlice('\n')
		}
		if err != nil {
			return
		}
		f.note(nil)
		if line, cursor, ok := parse.Journal(line); ok {
			f.record(&line, cursor, from)
		}
	}
}

// record reads one record of the journal. The first one behind the cursor ends the
// reading again, whatever the clock shows later: somebody may set it back.
func (f *Follower) record(line *maillog.Line, cursor string, from Cursor) {
	at := line.At.UnixMicro()
	f.muted = f.muted && at <= from.At
	f.read(line)
	if !f.muted {
		f.cursor.Store(&Cursor{Journal: cursor, At: at})
	}
	f.muted = f.muted && cursor != from.Journal
}
