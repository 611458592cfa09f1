package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"tlsratchet/tlsstate"
)

// withSnapshot makes a file of n peers, a snapshot of it, and then one peer
// more.
func withSnapshot(t testing.TB, n int) string {
	t.Helper()
	path := fill(t, n)
	f := mustOpen(t, path, Options{})
	if err := f.Snapshot(); err != nil {
		t.Fatal(err)
	}
	mustMerge(t, f, peer(n), seen(6))
	mustClose(t, f)
	return path
}

func mustRecover(t testing.TB, path string, opts Options) *File {
	t.Helper()
	opts.ReadTimeout = patience
	f, err := OpenOrRecover(path, opts)
	if err != nil {
		t.Fatalf("OpenOrRecover: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// beside returns the names of the files next to a history file, without its
// own.
func beside(t testing.TB, path string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimPrefix(f.Name(), filepath.Base(path)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// ruin overwrites a file with what is no history file.
func ruin(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, bytes.Repeat([]byte("ruin"), 9000), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// clearNewestMeta leaves the file as it was a commit ago, in good order.
func clearNewestMeta(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	newest, _, err := newestMeta(file)
	if err != nil {
		t.Fatal(err)
	}
	at := int64(newest.Txid%2) * int64(newest.PageSize)
	if _, err := file.WriteAt(make([]byte, newest.PageSize), at); err != nil {
		t.Fatal(err)
	}
}

func TestRecovery(t *testing.T) {
	const n = 300
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
		known  int
		logged string
		aside  bool
	}{
		{"nothing is wrong", func(*testing.T, string) {}, n + 1, "", false},
		{"ruined", func(t *testing.T, path string) { ruin(t, path) }, n, "what was learned since is lost", true},
		{"ruined, and a recovery of it was killed", func(t *testing.T, path string) {
			ruin(t, path)
			ruin(t, path+madeFor)
		}, n, "what was learned since is lost", true},
		{"cut to nothing", func(t *testing.T, path string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, n, "what was learned since is lost", false},
		{"gone", func(t *testing.T, path string) { remove(t, path) }, n, "what was learned since is lost", false},
		{"made anew, and that cut short", func(t *testing.T, path string) {
			remove(t, path)
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil || db.Close() != nil {
				t.Fatal(err)
			}
		}, n, "what was learned since is lost", true},
		{"the newest snapshot is ruined too", func(t *testing.T, path string) {
			ruin(t, path)
			if err := os.Rename(snapshots(path)[0], snapshots(path)[1]); err != nil {
				t.Fatal(err)
			}
			ruin(t, snapshots(path)[0])
		}, n, "what was learned since is lost", true},
		{"no good snapshot", func(t *testing.T, path string) {
			ruin(t, path)
			ruin(t, snapshots(path)[0])
		}, 0, "every peer is new", true},
		{"gone, and its snapshot has a damaged record", func(t *testing.T, path string) {
			remove(t, path)
			flipRecord(t, snapshots(path)[0], peer(7))
		}, n - 1, "its snapshots have damaged records", false},
		{"ruined, and both snapshots have damaged records", func(t *testing.T, path string) {
			ruin(t, path)
			copyFile(t, snapshots(path)[0], snapshots(path)[1])
			flipRecord(t, snapshots(path)[0], peer(7))
			flipRecord(t, snapshots(path)[1], peer(8))
			flipRecord(t, snapshots(path)[1], peer(9))
		}, n - 1, "its snapshots have damaged records", true},
		{"ruined, and the newer snapshot has a damaged record", func(t *testing.T, path string) {
			ruin(t, path)
			copyFile(t, snapshots(path)[0], snapshots(path)[1])
			flipRecord(t, snapshots(path)[0], peer(7))
		}, n, "the last good snapshot", true},
		{"a new file", func(t *testing.T, path string) {
			remove(t, path)
			remove(t, snapshots(path)[0])
		}, 0, "", false},
		{"one record", func(t *testing.T, path string) { flipRecord(t, path, peer(7)) }, n + 1, "intact records are joined", true},
		{"the newest meta page, which hides the last commit", clearNewestMeta, n, "intact records are joined", true},
		{"one record, and no snapshot", func(t *testing.T, path string) {
			flipRecord(t, path, peer(7))
			remove(t, snapshots(path)[0])
		}, n, "the histories of these peers are lost", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := withSnapshot(t, n)
			tt.damage(t, path)
			var log lines
			f := mustRecover(t, path, Options{Logger: log.logger()})
			rejoined(t, f, tt.known)
			if strings.Contains(tt.logged, "are joined") {
				log.await(t, "level=INFO")
			}
			snapshot, err := os.Stat(snapshots(path)[0])
			if since := "since="; tt.aside && err == nil && !strings.Contains(tt.name, "snapshot") {
				since += snapshot.ModTime().UTC().Format(time.RFC3339)
				if len(log.with(since)) != 1 {
					t.Errorf("logged: %q, want %s", log.with("level=ERROR"), since)
				}
			}
			mustMerge(t, f, peer(n+5), seen(3)) // it is in use
			mustFlush(t, f)
			mustClose(t, f)
			if lines := log.with("level=ERROR"); (tt.logged == "") != (len(lines) == 0) || (tt.logged != "" && !strings.Contains(lines[0], tt.logged)) {
				t.Errorf("logged: %q, want …%s…", lines, tt.logged)
			}
			if lines := log.with("damaged records stay"); len(lines) != 0 {
				t.Errorf("logged: %q", lines)
			}
			unusable := strings.Count(tt.name, "snapshot is ruined") + strings.Count(tt.name, "no good snapshot") +
				strings.Count(tt.name, "snapshot has") + 2*strings.Count(tt.name, "both snapshots")
			if lines := log.with("not usable"); len(lines) != unusable {
				t.Errorf("logged of snapshots: %q", lines)
			}
			if joined := log.with("level=INFO"); len(joined) != strings.Count(tt.logged, "are joined") {
				t.Errorf("logged: %q", joined)
			}
			aside := slices.ContainsFunc(beside(t, path), func(name string) bool { return strings.HasPrefix(name, ".damaged-20") })
			if aside != tt.aside || aside != (len(log.with("set_aside="+path+".damaged-20")) == 1) {
				t.Errorf("beside it: %q, logged %q", beside(t, path), log.with("set_aside="))
			}
			if again := mustOpen(t, path, Options{}); again.Len() != tt.known+1 || again.Stats().Damaged != 0 {
				t.Errorf("then %d identities, %+v", again.Len(), again.Stats())
			}
		})
	}
}

// rejoined waits until so many are known.
func rejoined(t *testing.T, f *File, want int) {
	t.Helper()
	for began := time.Now(); f.Len() != want; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d identities, want %d", f.Len(), want)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, read(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

// flipRecord damages the record of one peer.
func flipRecord(t *testing.T, path string, id tlsstate.Identity) {
	t.Helper()
	alter(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketHistories)
		value := bytes.Clone(b.Get(appendKey(nil, id)))
		value[20] ^= 4
		return b.Put(appendKey(nil, id), value)
	})
}

// A process that ends before all is rejoined leaves the rest to the next, also of a file
// that was set aside before another one was.
func TestRejoiningGoesOn(t *testing.T) {
	const n = 300
	path := withSnapshot(t, n)
	for round := range 2 { // as if it was killed then
		flipRecord(t, path, peer(7+round))
		r := rescue{path: path, opts: Options{}.withDefaults()}
		d, _, err := openBolt(path, 0, r.replace)
		if err != nil || d.close() != nil {
			t.Fatal(err)
		}
		f := mustOpen(t, path, Options{})
		mustMerge(t, f, peer(n+1+round), seen(6))
		mustClose(t, f)
	}
	var log lines
	f := mustRecover(t, path, Options{Logger: log.logger()})
	rejoined(t, f, n+3)
	log.await(t, "are joined")
	for began := time.Now(); len(log.with("are joined")) < 2 && time.Since(began) < patience; {
		time.Sleep(time.Millisecond)
	}
	if got := log.with("are joined"); len(got) != 2 || !strings.Contains(got[0], ".damaged-") || !strings.Contains(got[1], ".damaged-") {
		t.Error(got)
	}
	mustClose(t, f)
	if names := beside(t, path); strings.Contains(strings.Join(names, " "), toRejoin) {
		t.Errorf("beside it: %q", names)
	}
}

// TestWhatWaitsIsRemovedLast: of the files that were set aside, those whose records are to
// be joined stay longest, and what is removed is logged.
func TestWhatWaitsIsRemovedLast(t *testing.T) {
	path := withSnapshot(t, 20)
	asides := make([]string, 3)
	for n := range asides {
		asides[n] = fmt.Sprint(path, ".damaged-2026-11-2", n, "T183000Z")
		if err := os.Rename(fill(t, 20+n), asides[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Base(asides[0]), asides[0]+toRejoin); err != nil {
		t.Fatal(err)
	}
	ruin(t, path)
	var log lines
	f := mustRecover(t, path, Options{Logger: log.logger()})
	defer mustClose(t, f)
	if !exists(asides[0]) || exists(asides[1]) || !exists(asides[2]) || len(log.with("removed=["+asides[1]+"]")) != 1 {
		t.Errorf("beside it %q; logged %q", beside(t, path), log.with("removed="))
	}
}

// 500 damaged variants in soak, some here: none crashes, none is read wrong,
// and all peers of the snapshot are served.
func TestDamagedFilesAreServedFromTheSnapshot(t *testing.T) {
	const n = 300
	path := withSnapshot(t, n)
	whole := read(t, path)
	all := damages(len(whole), os.Getpagesize())
	rand.New(rand.NewPCG(7, 7)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, d := range all[:100] {
		if err := os.WriteFile(path, d.do(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		f := mustRecover(t, path, Options{})
		for i := range n {
			h, err := f.Load(peer(i))
			if err != nil || h != seen(1+i%9) {
				t.Fatalf("%s: %s is read as %+v, %v", d.name, peer(i), h, err)
			}
		}
		mustClose(t, f)
	}
	names := slices.DeleteFunc(beside(t, path), func(name string) bool { return strings.HasSuffix(name, toRejoin) }) // of the last, if it was cut short
	if len(names) > 1+3 {                                                                                            // and the snapshot
		t.Errorf("%d files set aside: %q", len(names), names)
	}
}

// A command that opens a file which is gone makes no empty one, which would hide the
// snapshots from the daemon's next start.
func TestAMissingFileWithSnapshots(t *testing.T) {
	path := withSnapshot(t, 10)
	remove(t, path)
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "snapshot") {
		t.Errorf("Open: %v", err)
	}
	if names := beside(t, path); exists(path) || len(names) != 1 {
		t.Errorf("there are the file: %v, and beside it %q", exists(path), names)
	}
	db, err := bolt.Open(path, 0o600, nil) // killed before it had its buckets
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrDamaged) || !exists(path) {
		t.Errorf("Open of a file that was there: %v; it is there: %v", err, exists(path))
	}
	if f := mustRecover(t, path, Options{}); f.Len() != 10 {
		t.Errorf("%d identities are recovered", f.Len())
	}
}

// A newer version's file is no damaged one, and neither is one in use.
func TestWhatIsNotRecovered(t *testing.T) {
	path := withSnapshot(t, 10)
	f := mustOpen(t, path, Options{})
	if _, err := OpenOrRecover(path, Options{LockTimeout: time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("a file in use: %v", err)
	}
	mustClose(t, f)
	alter(t, path, func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, formatText(Format+1)) })
	before := read(t, path)
	if _, err := OpenOrRecover(path, Options{}); !errors.Is(err, ErrNewerVersion) {
		t.Errorf("a newer file: %v", err)
	}
	if !bytes.Equal(read(t, path), before) || len(beside(t, path)) != 1 {
		t.Errorf("it was touched: %q", beside(t, path))
	}
}

// Of several that find the same damage at once, one recovers and gets the file.
func TestRecoveryByTwoAtOnce(t *testing.T) {
	for range 5 {
		path := withSnapshot(t, 200)
		ruin(t, path)
		var all sync.WaitGroup
		var mu sync.Mutex
		var got []*File
		for range 4 {
			all.Go(func() {
				f, err := OpenOrRecover(path, Options{ReadTimeout: patience, LockTimeout: 40 * time.Millisecond})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					got = append(got, f)
				} else if !errors.Is(err, ErrLocked) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(got) != 1 || got[0].Len() != 200 || len(beside(t, path)) != 2 {
			t.Errorf("%d have the file; beside it %q", len(got), beside(t, path))
		}
		for _, f := range got {
			mustClose(t, f)
		}
	}
}

// A folder that can't be written to: the damaged file stays, and nothing of
// ours is left beside it.
func TestRecoveryThatCannotBe(t *testing.T) {
	path := withSnapshot(t, 10)
	ruin(t, path)
	r := rescue{path: filepath.Join(filepath.Dir(path), "no", "histories"), opts: Options{Logger: new(lines).logger()}}
	f, err := lockFile(path, os.O_RDWR, 0o600, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cause := fmt.Errorf("%w: as tried", ErrDamaged)
	if got, _, err := r.replace(f, census{}, cause); got != f || !errors.Is(err, ErrDamaged) {
		t.Errorf("%v, %v", got, err)
	}
	if names := beside(t, path); len(names) != 1 {
		t.Errorf("beside it: %q", names)
	}
}

// A damaged file that can't be set aside stays as it is, and nothing of ours is
// left beside it.
func TestWhatCannotBeSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 240)) // with a date it is too long
	mustClose(t, mustOpen(t, path, Options{}))
	ruin(t, path)
	before := read(t, path)
	var log lines
	if _, err := OpenOrRecover(path, Options{Logger: log.logger()}); !errors.Is(err, ErrDamaged) {
		t.Errorf("OpenOrRecover: %v", err)
	}
	if names := beside(t, path); len(names) != 0 || !bytes.Equal(read(t, path), before) {
		t.Errorf("beside it: %q", names)
	}
	if lines := log.with("can't be set aside"); len(lines) != 1 || len(log.with("level=")) != 1 {
		t.Errorf("logged: %q", log.with("level="))
	}
}

// Of a file that was set aside all intact records are joined, but for those from
// the future; what goes wrong with it is logged.
func TestRejoining(t *testing.T) {
	aside := newPath(t)
	old := mustOpen(t, aside, Options{})
	const n = 3 * scanBatch
	for i := range n {
		mustMerge(t, old, peer(i), seen(1+i%9))
	}
	soon := tlsstate.DayOf(time.Now()) + 30
	if _, err := old.Update(peer(7), netip.Addr{}, soon, merging(session(tlsstate.History{}, soon, tlsstate.TLS13))); err != nil {
		t.Fatal(err)
	}
	mustClose(t, old)
	var log lines
	joining := func() *File { // what is pending is less than all: none is dropped
		path := newPath(t)
		d, found, err := openBolt(path, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := start(path, Options{Logger: log.logger(), MaxPending: 1200, ReadTimeout: patience}.withDefaults(), d, found, rescue{salvage: []string{aside}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := joining()
	log.await(t, "are joined")
	for i := range n {
		want := seen(1 + i%9)
		if i == 7 {
			want = tlsstate.History{}
		}
		if h, err := f.Load(peer(i)); err != nil || h != want {
			t.Fatalf("%s: %+v, %v", peer(i), h, err)
		}
	}
	if all := log.with("level="); len(all) != 1 || !strings.Contains(all[0], "level=INFO") {
		t.Errorf("logged: %q", all)
	}
	mustClose(t, f)
	ruin(t, aside)
	f = joining()
	log.await(t, "could not be joined")
	mustClose(t, f)
	f.salvage = []string{fill(t, 3)}
	f.rejoin() // the store is closed
	if all := log.with("level="); len(all) != 2 || f.Stats().Trouble != "" {
		t.Errorf("logged of a ruined one and a closed store: %q, %q", all, f.Stats().Trouble)
	}
}

// Of a copy of which half is from the future the rest is joined: the clock is not to blame.
func TestRejoiningHalf(t *testing.T) {
	aside, path := fill(t, 1), newPath(t)
	old := mustOpen(t, aside, Options{})
	soon := tlsstate.DayOf(time.Now()) + 30
	if _, err := old.Update(peer(7), netip.Addr{}, soon, merging(session(tlsstate.History{}, soon, tlsstate.TLS13))); err != nil {
		t.Fatal(err)
	}
	mustClose(t, old)
	var log lines
	f, err := start(path, Options{Logger: log.logger()}.withDefaults(), newFakeDisk(), census{}, rescue{salvage: []string{aside}})
	if err != nil {
		t.Fatal(err)
	}
	log.await(t, "joined")
	if all := log.with("level="); len(all) != 1 || !strings.Contains(all[0], "intact records are joined") || f.Len() != 1 {
		t.Errorf("%d known, logged %q", f.Len(), all)
	}
	mustClose(t, f)
}

// What is rejoined was known before: however many of one network there are, they are no
// newcomers of today.
func TestRejoiningANetwork(t *testing.T) {
	aside, path := fill(t, 1), newPath(t)
	d, _, err := openBolt(aside, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for i := range networkNewcomers + 10 {
		all = append(all, entry{tlsstate.Identity{Kind: tlsstate.Domain, Name: fmt.Sprintf("p%d.example", i)}, seen(1), networkOf(netip.MustParseAddr("192.0.2.1"))})
	}
	if err := errors.Join(d.put(all), d.close()); err != nil {
		t.Fatal(err)
	}
	var log lines
	f, err := start(path, Options{Logger: log.logger()}.withDefaults(), newFakeDisk(), census{}, rescue{salvage: []string{aside}})
	if err != nil {
		t.Fatal(err)
	}
	log.await(t, "joined")
	if f.Len() != len(all)+1 || f.Stats().Refused != 0 {
		t.Errorf("%d known, want %d; %+v", f.Len(), len(all)+1, f.Stats())
	}
	mustClose(t, f)
}

// What fails in our own file is no fault of the copy: its records are not given up.
func TestRejoiningADamagedFile(t *testing.T) {
	aside, path := fill(t, 3), newPath(t)
	r := rescue{path: path}
	r.later(aside)
	full := newFakeDisk()
	full.full = fmt.Errorf("%w: nothing is written until a restart", ErrDamaged)
	bad := newFakeDisk()
	bad.bad[peer(1)] = ErrDamaged
	for _, disk := range []*fakeDisk{full, bad} {
		var log lines
		f, err := start(path, Options{Logger: log.logger()}.withDefaults(), disk, census{}, r)
		if err != nil {
			t.Fatal(err)
		}
		log.await(t, "joined")
		_ = f.Close()
		if _, err := os.Lstat(aside + toRejoin); err != nil || !slices.Contains(f.salvage, aside) {
			t.Errorf("the next start does not join %q: %v; logged: %q", f.salvage, err, log.with("level="))
		}
	}
}

// blocked makes a name one that nothing can be read from or written to, until the
// function that it returns is called.
func blocked(t *testing.T, name string) (free func()) {
	t.Helper()
	if err := os.Rename(name, name+"-away"); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.MkdirAll(name+"/x", 0o700); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.RemoveAll(name), os.Rename(name+"-away", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// Where there is no room for a copy, the snapshot itself goes on.
func TestASnapshotThatCannotBeCopied(t *testing.T) {
	for name, harm := range map[string]func(string){"gone": func(path string) { remove(t, path) }, "ruined": func(path string) { ruin(t, path) }} {
		path := withSnapshot(t, 20)
		blocked(t, path+madeFor)
		harm(path)
		var log lines
		f := mustRecover(t, path, Options{Logger: log.logger()})
		if lines := log.with("level=ERROR"); f.Len() != 20 || len(lines) != 1 || !strings.Contains(lines[0], "last good snapshot") || exists(snapshots(path)[0]) {
			t.Errorf("%s: %d known, logged %q", name, f.Len(), lines)
		}
		if trouble := f.Stats().Trouble; !strings.Contains(trouble, "learned since is lost") {
			t.Errorf("%s: %q", name, trouble)
		}
		mustClose(t, f)
	}
}

// While a snapshot can't be read that may be good, every peer is new, and that is
// stated. No other takes its place, and it is joined as soon as it can be.
func TestASnapshotThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := withSnapshot(t, 20)
		remove(t, path)
		time.Sleep(time.Until(today.Time()) - 20*24*time.Hour)
		free := blocked(t, snapshots(path)[0])
		for range 2 { // after a restart too
			f := mustRecover(t, path, Options{SnapshotEvery: time.Minute})
			mustMerge(t, f, peer(77), seenUntil(today-200, 2))
			time.Sleep(25 * time.Hour)
			synctest.Wait()
			if trouble := f.Stats().Trouble; f.Len() != 1 || f.Stats().Snapshots != 0 || trouble != f.rejoining.Begins+"\n" {
				t.Errorf("%d known, %q", f.Len(), trouble)
			}
			mustClose(t, f)
		}
		f := mustRecover(t, path, Options{})
		synctest.Wait() // for a moment it is not there, as if an operator had removed it
		free()
		time.Sleep(time.Hour)
		synctest.Wait()
		if trouble := f.Stats().Trouble; f.Len() > 10 || trouble != f.rejoining.Begins+"\n" {
			t.Errorf("with a clock that is behind: %d known, %q", f.Len(), trouble)
		}
		time.Sleep(19 * 24 * time.Hour)
		synctest.Wait()
		if s := f.Stats(); f.Len() != 21 || s.Trouble != "" || s.Snapshots == 0 || strings.Contains(fmt.Sprint(beside(t, path)), toRejoin) {
			t.Errorf("%d known, %+v, beside it %q", f.Len(), s, beside(t, path))
		}
		mustClose(t, f)
	})
}

// A copy that waits because the clock is behind keeps no snapshot from being taken,
// as long as it isn't one.
func TestSnapshotsWhileACopyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := fill(t, 5)
		aside := path + ".damaged-" + "2026-11-22T183000Z"
		if err := errors.Join(os.Rename(fill(t, 20), aside), os.Symlink(filepath.Base(aside), aside+toRejoin)); err != nil {
			t.Fatal(err)
		}
		var log lines
		f := mustRecover(t, path, Options{Logger: log.logger()})
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if s := f.Stats(); s.Snapshots == 0 || s.Trouble != f.rejoining.Begins+"\n" || !exists(aside) {
			t.Errorf("%+v", s)
		}
		if lines := log.with("level=ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "is the clock right? If it is, remove "+aside) {
			t.Errorf("logged: %q", lines)
		}
		mustClose(t, f)
	})
}

// What is lost at the start is stated for a day.
func TestWhatIsLostIsStated(t *testing.T) {
	for want, harm := range map[string]func(path string){
		"history file was missing and no snapshot":                                     func(path string) { remove(t, path); ruin(t, snapshots(path)[0]) },
		"every peer is new":                                                            func(path string) { ruin(t, path); ruin(t, snapshots(path)[0]) },
		"history file was damaged: it was replaced by the last good snapshot":          func(path string) { ruin(t, path) },
		"history file was missing or empty: it was replaced by the last good snapshot": func(path string) { remove(t, path) },
		"history file was missing or empty and its snapshots have damaged records":     func(path string) { remove(t, path); flipRecord(t, snapshots(path)[0], peer(7)) },
		"damaged records": func(path string) { flipRecord(t, path, peer(7)); remove(t, snapshots(path)[0]) },
		"":                func(path string) { remove(t, path); remove(t, snapshots(path)[0]) },
	} {
		path := withSnapshot(t, 20)
		harm(path)
		synctest.Test(t, func(t *testing.T) {
			f := mustRecover(t, path, Options{})
			if got := f.Stats().Trouble; !strings.Contains(got, want) || strings.Count(got, "\n") != min(len(want), 1) {
				t.Errorf("%q, want …%s…", got, want)
			}
			time.Sleep(lostFor + 2*choresEvery)
			synctest.Wait()
			if got := f.Stats().Trouble; got != "" {
				t.Errorf("after a day: %q", got)
			}
			mustClose(t, f)
		})
	}
}
