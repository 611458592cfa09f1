package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)

// stripped is an open incident of an address.
func stripped() incident.Incident {
	i := incident.Incident{
		ID: 17, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"},
		Kind: tlsstate.Stripped, Cap: tlsstate.Reject,
		Evidence: incident.Evidence{Pin: tlsstate.TLS12, Since: 20000, Last: 20700, Days: 41, Below: 1},
		Words:    "address:192.0.2.10 came in clear", Opened: noon, Last: noon.Add(5 * time.Minute), Messages: 3,
		Clients: []incident.Client{{Address: "192.0.2.10", Host: "mx1.bank.example"}}, From: []string{"bank.example"},
	}
	i.Done[tlsstate.Quarantine], i.Done[tlsstate.Header], i.Seen[tlsstate.Plaintext] = 2, 1, 3
	i.Held = []incident.Held{{QueueID: "4XyZ12", At: noon}, {QueueID: "4XyZ13", At: noon}}
	return i
}

func changeOf(what incident.What, i incident.Incident) incident.Change {
	return incident.Change{What: what, At: noon.Add(time.Hour), Identity: i.Identity, Incident: i}
}

// recorder is a destination that keeps what it is sent.
type recorder struct {
	mu       sync.Mutex
	messages []*Message
	repeats  [][]*Message // what was sent together
	err      error
	key      string // "", or the one for which err is
	// hang, if not nil, holds every delivery until it is closed, or the context
	// ends.
	hang chan struct{}
}

func (r *recorder) try(ctx context.Context, all ...*Message) (string, error) {
	if r.hang != nil {
		select {
		case <-r.hang:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(all) == 1 {
		r.messages = append(r.messages, all[0])
	} else {
		r.repeats = append(r.repeats, all)
	}
	if r.key != "" && r.key != all[0].Key {
		return "taken", nil
	}
	return "taken", r.err
}

// only lets it fail for one key alone.
func (r *recorder) only(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
}

func (r *recorder) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// sent returns what it was sent, as words, since it was asked last.
func (r *recorder) sent() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var words []string
	for _, m := range r.messages {
		words = append(words, m.What)
	}
	r.messages = nil
	return strings.Join(words, " ")
}

func to(r *recorder, least Severity) *Destination {
	return &Destination{Name: "recorder", Least: least, try: r.try, timeout: httpTimeout}
}

// start returns alerts to destinations, which get names of their own.
func start(o Options, to ...*Destination) *Alerts {
	for n, d := range to[min(1, len(to)):] {
		if d.Name == to[0].Name {
			d.Name += fmt.Sprintf(" (%d)", n+2)
		}
	}
	o.Log, o.PerHour = cmp.Or(o.Log, discard), cmp.Or(o.PerHour, 20)
	if o.Save == nil {
		o.Save = func(s State) error {
			_, err := json.Marshal(s) // as the file does
			return err
		}
	}
	if o.Open == nil {
		o.Open = func() []incident.Incident { return nil }
	}
	a := New(o)
	a.SetDestinations(context.Background(), to)
	return a
}

func closeAlerts(t *testing.T, a *Alerts) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	a.Close(ctx)
}

var errDown = errors.New("it is down")

func noVariables(string) (string, bool) { return "", false }

var discard = slog.New(slog.DiscardHandler)
