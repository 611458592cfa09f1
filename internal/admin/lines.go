package admin

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/loop"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// maxLine is the longest line of an import, in bytes; a whole history has about
// a thousand.
const maxLine = 64 << 10

// Lines reads an export: one JSON object a line, empty lines left out. It ends
// with the first line that can't be read. One that is too long is the sender's
// mistake; what else can't be read isn't.
func Lines(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 4096), maxLine)
		n := 1
		for ; s.Scan(); n++ {
			b := bytes.TrimSpace(s.Bytes())
			if len(b) == 0 {
				continue
			}
			l := Line{Number: n}
			err := strict(b, &l)
			if err != nil {
				err = fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(l, err) || err != nil {
				return
			}
		}
		err := s.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("%w: longer than %d bytes", ErrBadRequest, maxLine)
		}
		if err != nil {
			yield(Line{}, fmt.Errorf("line %d: %w", n, err))
		}
	}
}

func strict(b []byte, l *Line) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(l)
	if err == nil && d.InputOffset() < int64(len(b)) {
		err = errors.New("more than one object")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}

func (l *Local) export(ctx context.Context, _ struct{}) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		seq, failed := l.Memory.All(tlsstate.Identity{})
		for id, h := range seq {
			if err := ctx.Err(); err != nil {
				yield(Line{}, err)
				return
			}
			if !yield(Line{Identity: id, History: h}, nil) {
				return
			}
		}
		if err := failed(); err != nil {
			yield(Line{}, fmt.Errorf("reading the memory: %w", err))
		}
	}
}

func (l *Local) merge(ctx context.Context, act, claimed string, lines iter.Seq2[Line, error]) (done Imported, err error) {
	defer func() { // also after a failure: what was merged stays
		l.Log.Warn("operator", "act", clean.Text(act, 20), "lines", done.Lines, "changed", done.Changed, "refused", done.Refused, "who", who(ctx, claimed))
	}()
	var doubtful []tlsstate.Identity
	for line, err := range lines {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return done, err
		}
		line.Number = cmp.Or(line.Number, done.Lines+1)
		if err := l.mergeLine(ctx, line, &done); err != nil {
			return done, fmt.Errorf("line %d: %w", line.Number, err)
		}
		if len(doubtful) < maxReasons && l.unread(line.Identity) != nil {
			doubtful = append(doubtful, line.Identity)
		}
		if done.Lines++; done.Lines%batchLines == 0 {
			if _, err := l.flush(ctx); err != nil {
				return done, err
			}
		}
	}
	for _, id := range doubtful {
		_, _ = l.Memory.Load(id) // asks the server again, which may have been away
	}
	done.Later, err = l.flush(ctx, doubtful...)
	return done, err
}

const (
	// batchLines is after how many lines an import waits until they are written:
	// less than the changes that the memory lets wait.
	batchLines = 10_000
	// batchPatience is for how long an import waits for the disk.
	batchPatience = time.Minute
)

// patiently repeats do while the disk does not answer in time. A message cannot
// wait for the disk; a batch can.
func patiently(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	for {
		err := do()
		if !errors.Is(err, store.ErrTimeout) || !loop.Pause(ctx, 20*time.Millisecond) {
			return err
		}
	}
}

func (l *Local) mergeLine(ctx context.Context, line Line, done *Imported) error {
	id := line.Identity
	if err := checkIdentity(id); err != nil {
		return err
	}
	if name := canonical(id); name != id.Name {
		reason := id.String() + " never matches a session or a delivery"
		if name != "" {
			reason += fmt.Sprintf(": use %s:%s", id.Kind, name)
		}
		done.refuse(line, reason)
		return nil
	}
	var before, after tlsstate.History
	err := patiently(ctx, func() (err error) {
		if before, err = l.Memory.Load(id); err == nil {
			after, err = l.Memory.Update(id, netip.Addr{}, l.today(), func(tlsstate.History) tlsstate.History {
				return line.History // the store joins it with what is there
			})
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrFuture):
		done.refuse(line, id.String()+" is dated later than tomorrow")
	case err != nil:
		return fmt.Errorf("merging %s: %w", id, err)
	case after != before:
		done.Changed++
	}
	return nil
}

// maxReasons is how many lines are named that were refused, or other hosts don't have.
const maxReasons = 20

func (i *Imported) refuse(line Line, reason string) {
	if i.Refused++; i.Refused <= maxReasons {
		i.Reasons = append(i.Reasons, fmt.Sprintf("line %d: %s", line.Number, reason))
	}
}
