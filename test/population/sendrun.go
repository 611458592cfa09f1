package population

import (
	"container/heap"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
)

// What Postfix does with mail that it can't deliver (qmgr(8)).
const (
	minimalBackoff = 300
	maximalBackoff = 4000
	queueLife      = 5 * day
)

// SendRule is one row of the table of rules for the mail that we send.
type SendRule struct {
	Name   string
	Policy tlsstate.Policy
	// ReleaseOnOutage is [outbound] on_outage = "release".
	ReleaseOnOutage bool
	// Other, if not nil, makes another rule altogether.
	Other func() sendJudge
}

// sendJudge answers Postfix and learns from its log. Ours is the product's own.
type sendJudge interface {
	Answer(key []byte, pid uint32) (encrypt bool)
	Delivered(d *maillog.Delivery)
}

// SendRules are the rules that are tried, our defaults first.
func SendRules() []SendRule {
	return []SendRule{
		{Name: "**our defaults, `hold`**", Policy: Defaults()},
		{Name: "`on_outage = \"release\"`", Policy: Defaults(), ReleaseOnOutage: true},
		{Name: "`outbound.pin_after_days = 1`", Policy: after(1)},
		{Name: "`outbound.pin_after_days = 2`", Policy: after(2)},
		{Name: "`outbound.pin_after_days = 3`", Policy: after(3)},
		{Name: "`outbound.pin_after_days = 4`", Policy: after(4)},
		{Name: "`outbound.pin_after_days = 7`", Policy: after(7)},
		{Name: "`outbound.pin_after_days = 10`", Policy: after(10)},
		{Name: "`outbound.release_after_days = 2`", Policy: release(2)},
		{Name: "`outbound.release_after_days = 4`", Policy: release(4)},
		{Name: "`outbound.release_after_days = 64`", Policy: release(64)},
		{Name: "`outbound.relax_after_days = 4`", Policy: relax(4)},
		{Name: "`outbound.relax_after_days = 10`", Policy: relax(10)},
		{Name: "one delivery over TLS adds `encrypt` to a map, for ever", Other: newMapForEver},
	}
}

// observing is what happens without us.
func observing() SendRule { return SendRule{Name: "nobody", Policy: tlsstate.DefaultPolicy()} }

// mapForEver is what scripts do that make a map from the log.
type mapForEver map[string]bool

func newMapForEver() sendJudge { return mapForEver{} }

func (m mapForEver) Answer(key []byte, _ uint32) bool { return m[string(key)] }

func (m mapForEver) Delivered(d *maillog.Delivery) {
	if d.Status == maillog.Sent && d.TLS == maillog.Encrypted {
		m[d.Domain] = true
	}
}

// sendRun is one rule on its way through a world.
type sendRun struct {
	w     *SendWorld
	rule  sendJudge
	now   time.Time
	queue queue
	fates []sendFate
	dead  []suspended // by destination
	held  [][]bool    // by moment of wallMoments: whether a destination is held
}

// suspended is a destination that Postfix does not try for a while.
type suspended struct {
	until   int64
	refusal maillog.Refusal
}

// sendFate is what became of a message.
type sendFate struct {
	at      int64 // of its delivery, -1 for one that was returned
	tap     int32 // the first attack that touched it, -1 for none
	touched int64 // when that was
	clear   bool
	walled  bool // our own firewall stripped it
}

// run runs a rule through the world.
func (w *SendWorld) run(rule *SendRule) (*sendRun, error) {
	r := &sendRun{w: w, fates: make([]sendFate, len(w.letters)), dead: make([]suspended, len(w.places))}
	if err := r.judgeBy(rule); err != nil {
		return nil, err
	}
	for n := range w.letters {
		at := w.letters[n].at
		r.fates[n] = sendFate{at: -1, tap: -1}
		r.until(at)
		r.try(try{at: at, mail: int32(n)})
	}
	r.until(int64(w.o.Days)*day + queueLife + maximalBackoff)
	return r, nil
}

func (r *sendRun) judgeBy(rule *SendRule) error {
	if rule.Other != nil {
		r.rule = rule.Other()
		return nil
	}
	rules, err := tlsstate.NewRules(rule.Policy, nil)
	if err != nil {
		return fmt.Errorf("rule %s: %w", rule.Name, err)
	}
	r.rule = outbound.New(outbound.Options{
		Events:    func(ratchet.Event) {},
		Histories: newMemory(rules.Default()), Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler),
		Settings: outbound.Settings{
			Rules: rules, Least: tlsstate.TLS12, ReleaseOnOutage: rule.ReleaseOnOutage, Permission: outbound.Permission{Allowed: true},
		},
	})
	return nil
}

// until tries what waits and is due before a time.
func (r *sendRun) until(at int64) {
	for len(r.queue) > 0 && r.queue[0].at <= at {
		r.try(heap.Pop(&r.queue).(try))
	}
	for n := len(r.held); n < len(wallMoments) && at >= wallMoments[n]; n++ {
		r.held = append(r.held, r.heldNow(wallMoments[n]))
	}
}

func (r *sendRun) heldNow(at int64) []bool {
	r.now = epoch.Add(time.Duration(at) * time.Second)
	all := make([]bool, len(r.w.places))
	for i := range all {
		all[i] = r.rule.Answer(r.w.places[i].key, 1)
	}
	return all
}

// try tries to deliver a message, as Postfix does.
func (r *sendRun) try(t try) {
	r.now = epoch.Add(time.Duration(t.at) * time.Second)
	i := r.w.letters[t.mail].to
	d := maillog.Delivery{At: r.now, PID: 1, QueueID: strconv.Itoa(int(t.mail)), Domain: r.w.places[i].domain, Status: maillog.Deferred}
	f := &r.fates[t.mail]
	if r.dead[i].until > t.at {
		d.Suspended, d.Refusal = true, r.dead[i].refusal
	} else if r.connect(&d, f, t) {
		f.at, f.clear = t.at, d.TLS == maillog.Clear
		r.dead[i] = suspended{}
	} else {
		r.dead[i] = suspended{t.at + minimalBackoff, d.Refusal}
	}
	r.rule.Delivered(&d)
	if d.Status == maillog.Deferred {
		r.defers(t)
	}
}

// connect tries the hosts of a destination until one takes the message.
func (r *sendRun) connect(d *maillog.Delivery, f *sendFate, t try) (sent bool) {
	m := &r.w.letters[t.mail]
	p := &r.w.places[m.to]
	for mx := range p.mx() {
		encrypt := r.rule.Answer(p.key, 1)
		is := r.w.meet(int(m.to), mx, t.at, chance(uint64(t.mail)<<8|uint64(mx), uint64(t.n)))
		if is.touched >= 0 && f.tap < 0 {
			f.tap, f.touched = int32(is.touched), t.at
		}
		f.walled = f.walled || walled(t.at)
		if d.Refusal == maillog.NotOffered && d.Host != "" {
			d.Skipped = append(d.Skipped, d.Host)
		}
		d.Host, d.Addr = p.host(mx, t.at)
		if is.take(d, encrypt, t.at-m.at) {
			return true
		}
	}
	return false
}

// take is what Postfix makes of a connection at "encrypt" or "may", and what its
// log then says. At "may" a message that has waited goes in clear after a
// handshake that failed.
func (is *offer) take(d *maillog.Delivery, encrypt bool, age int64) (sent bool) {
	switch {
	case is.down:
		d.Refusal = maillog.NoRefusal
	case is.level == tlsstate.Plaintext && encrypt:
		d.Refusal = maillog.NotOffered
	case is.broken && (encrypt || age < minimalBackoff):
		d.Refusal = maillog.Handshake
	case is.broken || is.level == tlsstate.Plaintext:
		d.Refusal, d.Status, d.TLS, d.Failed, d.Offered = maillog.NoRefusal, maillog.Sent, maillog.Clear, is.broken, is.broken
	default:
		d.Refusal, d.Status, d.TLS, d.Security.Level = maillog.NoRefusal, maillog.Sent, maillog.Encrypted, is.level
	}
	return d.Status == maillog.Sent
}

// defers puts a message back into the queue; it waits twice as long each time.
// What is older than the queue keeps is returned.
func (r *sendRun) defers(t try) {
	age := t.at - r.w.letters[t.mail].at
	if age > queueLife {
		return
	}
	t.at, t.n = t.at+min(max(age, minimalBackoff), maximalBackoff), t.n+1
	heap.Push(&r.queue, t)
}
