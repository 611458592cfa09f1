package outbound

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"tlsratchet/internal/clean"
	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// Waiting is a destination whose mail is held, or would be.
type Waiting struct {
	Destination string `json:"destination"`
	// First and Last are when the first and the newest message failed.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// QueueIDs are the messages that wait in Postfix's queue, at most
	// [MaxQueueIDs] of them; Messages counts all that ever were among these.
	QueueIDs []string `json:"queue_ids,omitempty"`
	Messages int      `json:"messages"`
	// Observed counts deliveries in clear that "hold" would have deferred.
	Observed int `json:"observed,omitempty"`
	// Hosts are the MX hosts that failed, Reason what they failed at.
	Hosts  []string `json:"hosts,omitempty"`
	Reason string   `json:"reason"`
	// Pin is the level that is expected, used on Days of the last 64 days, last
	// on Met; Required that the configuration demands it.
	Pin      string `json:"pin"`
	Days     int    `json:"days"`
	Met      string `json:"met"`
	Required bool   `json:"required,omitempty"`
	// Release is the day on which mail is let go if nothing changes; "" for
	// never.
	Release string `json:"release,omitempty"`
}

// Bounds of what is remembered of destinations that fail.
const (
	MaxQueueIDs = 100
	maxWaiting  = 10_000
	maxHosts    = 8
	// waitingAge is how long a destination is listed after its last failure,
	// where nothing was sent to it since: the life of Postfix's queue.
	waitingAge = 6 * 24 * time.Hour
)

// waiting are the destinations that fail.
type waiting struct {
	mu  sync.Mutex
	all map[string]*Waiting
}

func (w *waiting) add(d *maillog.Delivery, v *tlsstate.Verdict, releaseAfter int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := v.Identity.Name
	one := w.all[name]
	if one == nil {
		one = &Waiting{Destination: name, First: d.At}
		note(&w.all, maxWaiting, name, one)
	}
	one.Last = d.At
	one.Pin, one.Days, one.Met, one.Required = v.Pin.String(), v.Days, v.Last.String(), v.Required
	one.Reason, one.Release = reasonOf(d), releaseOf(d.At, v, releaseAfter)
	for _, host := range append(slices.Clone(d.Skipped), d.Host) {
		if host = clean.Text(host, 255); host != "" && len(one.Hosts) < maxHosts && !slices.Contains(one.Hosts, host) {
			one.Hosts = append(one.Hosts, host)
		}
	}
	if d.Status == maillog.Sent {
		one.Observed++
	} else if id := clean.Text(d.QueueID, 64); !slices.Contains(one.QueueIDs, id) && len(one.QueueIDs) < MaxQueueIDs {
		one.Messages++
		one.QueueIDs = append(one.QueueIDs, id)
	}
}

// reasonOf returns what a delivery failed at, in words.
func reasonOf(d *maillog.Delivery) string {
	switch {
	case d.TLS == maillog.Encrypted:
		return "TLS was weaker than before"
	case d.Refusal == maillog.Handshake || d.Failed:
		return "the TLS handshake failed"
	case d.Refusal == maillog.Ended:
		return "the connection ended within TLS"
	case d.Offered:
		return "STARTTLS was offered, but TLS did not begin"
	}
	return "STARTTLS was not offered"
}

// releaseOf returns the day on which a pin is released if mail fails on every day
// until then.
func releaseOf(at time.Time, v *tlsstate.Verdict, releaseAfter int) string {
	if v.Required {
		return ""
	}
	return (tlsstate.DayOf(at) + tlsstate.Day(max(releaseAfter-v.Below, 0))).String()
}

// sent notes that a message, or a part of it, was delivered to a destination; met
// that it was reached as it should be: it is forgotten once nothing waits for it.
func (w *waiting) sent(name, queueID string, met bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[name]; one != nil {
		one.remove(queueID)
		if met && len(one.QueueIDs) == 0 {
			delete(w.all, name)
		}
	}
}

// removed notes that a message left the queue.
func (w *waiting) removed(queueID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		one.remove(queueID)
	}
}

func (w *Waiting) remove(queueID string) {
	w.QueueIDs = slices.DeleteFunc(w.QueueIDs, func(id string) bool { return id == queueID })
}

// list returns the destinations, those with the newest failure first.
func (w *waiting) list(now time.Time) []Waiting {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.all, func(_ string, one *Waiting) bool { return now.Sub(one.Last) > waitingAge })
	all := make([]Waiting, 0, len(w.all))
	for _, one := range w.all {
		c := *one
		c.QueueIDs, c.Hosts = slices.Clone(one.QueueIDs), slices.Clone(one.Hosts)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Waiting) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Destination, b.Destination))
	})
	return all
}
