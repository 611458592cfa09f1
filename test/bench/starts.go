package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tlsratchet/test/mtatest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// starts are how long tlsratchet took from its start to its first answer to a
// message, in seconds.
type starts struct {
	identities int
	bytes      int64
	// warm with the file in the page cache, cold without.
	warm, cold []float64
}

// measureStarts starts tlsratchet on a large history, kept in o.cache for the
// next time.
func measureStarts(ctx context.Context, o *options, stderr io.Writer) (*starts, error) {
	file, err := largeHistory(ctx, o.cache, o.identities, stderr)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	s := &starts{identities: o.identities, bytes: info.Size()}
	for round := range o.rounds + 1 {
		for _, cold := range []bool{false, true} {
			took, err := firstAnswer(ctx, o, file, cold)
			switch {
			case err != nil:
				return nil, err
			case round == 0: // reads the file for the first time
			case cold:
				s.cold = append(s.cold, took.Seconds())
			default:
				s.warm = append(s.warm, took.Seconds())
			}
		}
	}
	return s, nil
}

func firstAnswer(ctx context.Context, o *options, history string, cold bool) (took time.Duration, err error) {
	if cold {
		if err := uncache(history); err != nil {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	p, err := startServe(ctx, o.binary, dir, history)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.answers(ctx); err != nil {
		return 0, err
	}
	s, err := mtatest.Dial(ctx, "unix", p.socket, mtatest.Options{})
	if err != nil {
		return 0, err
	}
	_, err = s.Message(mail(stranger(0)))
	return time.Since(began), errors.Join(err, s.Close())
}

// uncache has the kernel forget what it holds of a file.
func uncache(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(unix.Fdatasync(int(f.Fd())), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		return fmt.Errorf("dropping %s from the page cache: %w", path, err)
	}
	return nil
}

// largeHistory returns a history file with so many identities, all pinned, half
// of them addresses and half domains. It takes a minute for a million.
func largeHistory(ctx context.Context, cache string, n int, stderr io.Writer) (string, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(cache, fmt.Sprintf("history-%d.db", n))
	if holds(file, n) {
		return file, nil
	}
	fmt.Fprintf(stderr, "bench: making a history of %d identities in %s\n", n, cache)
	part := file + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := fillLarge(ctx, part, n); err != nil {
		return "", fmt.Errorf("making %s: %w", part, err)
	}
	return file, os.Rename(part, file)
}

// holds reports whether a history has so many identities that are read today: it
// may be of an earlier form.
func holds(file string, n int) bool {
	if _, err := os.Stat(file); err != nil {
		return false
	}
	s, err := store.Open(file, store.Options{SnapshotEvery: -1})
	if err != nil {
		return false
	}
	all := s.Len() >= n // each start leaves a few more
	return s.Close() == nil && all
}

func fillLarge(ctx context.Context, file string, n int) error {
	s, err := store.Open(file, store.Options{ReadTimeout: time.Minute}) // reads wait for the writer here
	if err != nil {
		return err
	}
	today := tlsstate.DayOf(time.Now())
	h := pinnedHistory(today)
	const stride = 7_368_787 // a prime: spreads the keys, as peers come
	for i := range n {
		if _, err = s.Update(manyIdentity(i*stride%n), netip.Addr{}, today, func(tlsstate.History) tlsstate.History { return h }); err != nil {
			break
		}
		if i%20_000 == 0 {
			if err = s.Flush(ctx); err != nil {
				break
			}
		}
	}
	if err == nil && s.Len() != n {
		err = fmt.Errorf("%d identities, want %d", s.Len(), n)
	}
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

func manyIdentity(i int) tlsstate.Identity {
	if i%2 == 0 {
		return tlsstate.Identity{Kind: tlsstate.Address, Name: fmt.Sprintf("%d.%d.%d.%d", 20+i>>24, i>>16&255, i>>8&255, i&255)}
	}
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("a-domain-name-%d.example", i)}
}

func pinnedHistory(today tlsstate.Day) (h tlsstate.History) {
	rule := tlsstate.DefaultPolicy()
	for ago := tlsstate.Day(steadyDays); ago > 0; ago-- {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: today - ago, Security: tlsstate.Security{Level: tlsstate.TLS13}}, &rule)
	}
	return h
}
