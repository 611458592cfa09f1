package status_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/status"
	"tlsratchet/tlsstate"
)

func TestMain(m *testing.M) {
	// net/http waits half a second after it refused a request.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// noon is the time of the test world.
var noon = time.Date(2026, 11, 22, 12, 34, 56, 0, time.UTC)

func today() tlsstate.Day { return tlsstate.DayOf(noon) }

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func address(name string) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Address, Name: name}
}

func domain(name string) tlsstate.Identity {
	return tlsstate.Identity{Kind: tlsstate.Domain, Name: name}
}

func rules(t *testing.T, rows ...tlsstate.Row) *tlsstate.Rules {
	t.Helper()
	r, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// emptyPage is that of a daemon that just started.
func emptyPage(t *testing.T) status.Page {
	r := rules(t)
	return status.Page{
		Version:    "1.2.3",
		Now:        func() time.Time { return noon },
		Tally:      func(tlsstate.Day) incident.Tally { return nil },
		Open:       func() []incident.Incident { return nil },
		Of:         func(tlsstate.Identity) []incident.Incident { return nil },
		Downgrades: func(tlsstate.Day) []status.DowngradeEvent { return nil },
		Census:     func() status.Count { return status.Count{} },
		Breaker:    func() ratchet.BreakerState { return ratchet.BreakerState{} },
		SelfCheck:  func() selfcheck.Result { return selfcheck.Result{} },
		Trouble:    func() string { return "" },
		Sending:    func() outbound.Overview { return outbound.Overview{} },
		Resolve:    resolve,
		Load:       noHistory,
		Rules:      func(tlsstate.Kind) *tlsstate.Rules { return r },
		Explain:    explain(noHistory, r),
	}
}

func noHistory(tlsstate.Identity) (tlsstate.History, error) { return tlsstate.History{}, nil }

// memory is one that only reads.
type memory func(tlsstate.Identity) (tlsstate.History, error)

func (m memory) Load(id tlsstate.Identity) (tlsstate.History, error) { return m(id) }
func (memory) Update(tlsstate.Identity, netip.Addr, tlsstate.Day, func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	return tlsstate.History{}, errors.New("read-only")
}
func (memory) Newest() tlsstate.Day { return today() }

// explain is what the daemon's ratchet would say of a session.
func explain(load memory, r *tlsstate.Rules) func(*ratchet.Session) (ratchet.Explanation, error) {
	return ratchet.New(ratchet.Options{Histories: load, Rules: r, Log: quietLog()}).Explain
}

// resolve takes identities, and anything else for a domain.
func resolve(name string) (tlsstate.Identity, error) {
	if id, err := tlsstate.ParseIdentity(name); err == nil {
		return id, nil
	}
	if strings.ContainsAny(name, " <\x1b") || len(name) > 253 {
		return tlsstate.Identity{}, errors.New("no name of a peer: " + name)
	}
	return domain(name), nil
}

// busyPage is that of a daemon with 64 days behind it and a bad day now. Its
// peers have the names.
func busyPage(t *testing.T, names ...string) status.Page {
	p := emptyPage(t)
	p.Tally = func(today tlsstate.Day) incident.Tally { return busyTally(today) }
	p.Open = func() []incident.Incident { return busyIncidents(names) }
	p.Of = func(id tlsstate.Identity) []incident.Incident { return busyIncidents([]string{id.Name})[:1] }
	p.Downgrades = func(tlsstate.Day) []status.DowngradeEvent { return busyDowngrades(names) }
	p.Census = func() status.Count {
		c := status.Count{At: noon}
		c.Pinned[tlsstate.Destination] = 1234
		for i, n := range append(names, "printer.partner.example", "news.example") {
			c.Plain = append(c.Plain, status.PlainPeer{Identity: domain(n), Days: max(61-7*i, 1), Last: today()})
		}
		return c
	}
	p.Sending = func() outbound.Overview { return busySending(names) }
	p.Breaker = func() ratchet.BreakerState { return ratchet.BreakerState{Answer: ratchet.Armed} }
	p.MX = "127.0.0.1:25"
	p.SelfCheck = func() selfcheck.Result {
		return selfcheck.Result{
			At: noon.Add(-time.Minute), Reachable: true, Offered: true, Handshake: true, Version: "TLS 1.3",
			CertNotBefore: noon.AddDate(0, 0, -30), CertNotAfter: noon.AddDate(0, 0, 60),
		}
	}
	p.Load = func(id tlsstate.Identity) (tlsstate.History, error) {
		if strings.Contains(id.Name, "stranger") {
			return tlsstate.History{}, nil
		}
		return faithful(t), nil
	}
	p.Explain = explain(p.Load, rules(t))
	return p
}

// busySending is a sending side that holds mail to the names.
func busySending(names []string) outbound.Overview {
	o := outbound.Overview{Action: "hold"}
	o.Sent.Days = []outbound.SentDay{{Day: today(), Levels: [4]uint64{10, 0, 90, 900}}}
	for i, n := range names {
		o.Waiting = append(o.Waiting, outbound.Waiting{
			Destination: n, First: noon.Add(-time.Hour), Last: noon, QueueIDs: []string{"4XyZ12", "4XyZ13"}[:1+i%2],
			Reason: "STARTTLS was not offered", Pin: "TLSv1.2", Release: "2026-11-24",
		})
	}
	if len(names) > maxShown {
		o.Forbidden, o.Fault, o.Outage.Since = "smtp_tls_security_level in "+names[0]+" is dane", "permission denied", noon
		o.Unlogged = "smtp_tls_loglevel in /etc/postfix"
	}
	return o
}

// maxShown is how many destinations the page names.
const maxShown = 8

// troublePage is that of a daemon whose own certificate broke: everybody comes
// in clear.
func troublePage(t *testing.T) status.Page {
	var names []string
	state := ratchet.BreakerState{Answer: ratchet.Suspended, Since: noon.Add(-9 * time.Minute), BrokenTo: noon}
	for i := range 30 {
		names = append(names, fmt.Sprintf("bank%d.example", i))
		if i < 11 {
			state.Recent = append(state.Recent, ratchet.BreakerName{Name: names[i], At: noon.Add(-time.Duration(i) * time.Second)})
		}
	}
	p := busyPage(t, names...)
	p.Breaker = func() ratchet.BreakerState { return state }
	p.SelfCheck = func() selfcheck.Result {
		return selfcheck.Result{At: noon.Add(-5 * time.Second), Reachable: true, Offered: true, Err: selfcheck.ErrHandshake}
	}
	return p
}

func busyTally(today tlsstate.Day) (all incident.Tally) {
	for ago := 63; ago >= 0; ago-- {
		d := incident.DayCounts{Day: today - tlsstate.Day(ago)}
		n := uint64(900 + 37*(ago*ago%23))
		if d.Day%7 > 4 {
			n /= 3
		}
		d.Counts[tlsstate.TLS13][tlsstate.Steady] = n * (62 + uint64(64-ago)/4) / 100
		d.Counts[tlsstate.TLS12][tlsstate.Steady] = n * (32 - uint64(64-ago)/4) / 100
		d.Counts[tlsstate.Weak][tlsstate.Learning] = n / 90
		d.Counts[tlsstate.Plaintext][tlsstate.Learning] = n / 22
		if ago == 9 {
			d.Counts[tlsstate.Plaintext][tlsstate.Downgraded] = n / 6
		}
		all = append(all, d)
	}
	return all
}

func busyIncidents(names []string) (all []incident.Incident) {
	for i, name := range names {
		inc := incident.Incident{
			ID: uint64(90 - i), Identity: domain(name), Kind: tlsstate.Stripped, Cap: tlsstate.Reject,
			Evidence: incident.Evidence{Pin: tlsstate.TLS12, Since: today() - 200, Last: today() - 1, Days: 41 - i, Below: 1, Networks: 3, Addresses: 11, Broad: true},
			Words:    "domain:" + name + " came in clear; it used TLSv1.2 or better on 41 of the last 64 days, last on 2026-11-21, pinned since 2026-05-06",
			Opened:   noon.Add(-5 * time.Hour), Last: noon.Add(-time.Duration(i+1) * 7 * time.Minute),
			Messages: uint64(12 + 1000*i), Undone: 1,
			Clients: []incident.Client{{Address: "192.0.2.10", Host: "mx1." + name}, {Address: "2001:db8::/64"}},
			From:    []string{name, "newsletter." + name},
		}
		inc.Done[tlsstate.Header], inc.Done[tlsstate.Tempfail] = 8, 3
		inc.Seen[tlsstate.Plaintext] = inc.Messages
		if i == 1 {
			inc.Kind, inc.Held = tlsstate.Unauthenticated, []incident.Held{{QueueID: "4XyZ1A2b3C", At: noon}}
		}
		all = append(all, inc)
	}
	return all
}

func busyDowngrades(names []string) (all []status.DowngradeEvent) {
	for i, name := range names {
		all = append(all, status.DowngradeEvent{
			At: noon.Add(-time.Duration(i) * 13 * time.Minute), Identity: domain(name), Client: "mx1." + name + "[192.0.2.10]",
			Kind: tlsstate.Stripped, Pin: "TLSv1.2", Seen: "none", Action: tlsstate.Header, Done: i != 1,
		})
	}
	return all
}

// faithful is a peer that used TLS on nearly every day until yesterday, and
// came in clear today.
func faithful(t *testing.T) tlsstate.History {
	t.Helper()
	rule := tlsstate.DefaultPolicy()
	_, h := tlsstate.Judge(trained(1), tlsstate.Observation{Day: today()}, &rule)
	if h.PinState(tlsstate.TLS12, &rule, today(), false) != tlsstate.PinHolds {
		t.Fatal("no pin holds: the test world is wrong")
	}
	return h
}

// trained is a peer that used TLS on nearly every day until so many days ago.
func trained(until int) (h tlsstate.History) {
	rule := tlsstate.DefaultPolicy()
	for ago := 150; ago >= until; ago-- {
		level := tlsstate.TLS13
		if ago%5 == 0 {
			level = tlsstate.TLS12
		}
		if ago%7 != 3 {
			_, h = tlsstate.Judge(h, tlsstate.Observation{Day: today() - tlsstate.Day(ago), Security: tlsstate.Security{Level: level}}, &rule)
		}
	}
	return h
}

// serve makes a server of a page, with no sources.
func serve(t *testing.T, p status.Page, names ...string) *http.Server {
	t.Helper()
	s, err := status.NewServer(status.ServerOptions{
		Address: "127.0.0.1:9125", Names: names, Metrics: status.NewMetrics(nothing), Page: p,
		Alive: func() error { return nil }, Ready: func() error { return nil }, Log: quietLog(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks for a path and returns the body.
func get(t *testing.T, s *http.Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:9125"
	s.Handler.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// event is one message of a peer.
func event(v tlsstate.Verdict, level tlsstate.Level, ip string) ratchet.Event {
	s := &ratchet.Session{At: noon, Security: tlsstate.Security{Level: level}}
	s.Peer.IP = netip.MustParseAddr(ip)
	s.Peer.Address = address(ip)
	return ratchet.Event{Session: s, Decision: &ratchet.Decision{Verdict: v}, Done: true}
}
