package e2e

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/maillog"
	"tlsratchet/test/posttest"
)

// receivers are the kinds of hosts that mail is sent to, by domain. A domain
// with two has two MX hosts, in this order.
var receivers = map[string][]posttest.Behaviour{
	"tls13.test":     {{}},
	"tls12.test":     {{Max: tls.VersionTLS12}},
	"tls10.test":     {{Min: tls.VersionTLS10, Max: tls.VersionTLS10}},
	"plain.test":     {{NoOffer: true}},
	"refuses.test":   {{Refuse: true}},
	"breaks.test":    {{Break: true}},
	"drops.test":     {{DropAfter: true}},
	"mixed.test":     {{NoOffer: true}, {}},
	"greylists.test": {{RefuseMail: true}, {Max: tls.VersionTLS12}},
	"downgrade.test": {{RefuseMail: true}, {NoOffer: true}},
	"some.test":      {{RefuseFirst: true}},
	"some2.test":     {{RefuseFirst: true}, {NoOffer: true}},
	"broken2.test":   {{Break: true}, {}},
	"dropped2.test":  {{DropAfter: true}, {NoOffer: true}},
	"stalls.test":    {{Stall: true}},
}

// found is what the log says of the recipients that were sent to.
type found struct {
	uses map[string][]string
	held map[string]int
	// suspended counts deliveries that Postfix did not try, reused those that were sent
	// over a connection of an earlier one, by their TLS.
	suspended int
	reused    map[maillog.TLSUse]int
}

func (f *found) Removed(string) {}
func (f *found) Delivered(d *maillog.Delivery) {
	if d.Refusal == maillog.NotOffered && d.Status == maillog.Deferred {
		f.held[d.Domain]++
		if d.Suspended {
			f.suspended++
		}
	}
	if d.Status != maillog.Sent {
		return
	}
	if d.Reused {
		f.reused[d.TLS]++
	}
	use := [...]string{"unknown", "clear", d.Security.Protocol}[d.TLS]
	key := d.Domain + " " + d.Host
	f.uses[key] = append(f.uses[key], use)
}

// TestOutboundTruth: what the log is read as is what each receiver saw.
func TestOutboundTruth(t *testing.T) {
	mx := map[string][]string{"held.test": {"mx1.held.test"}}
	for domain, hosts := range receivers {
		for i := range hosts {
			mx[domain] = append(mx[domain], fmt.Sprintf("mx%d.%s", i+1, domain))
		}
	}
	s := newOutbox(t, mx, "minimal_backoff_time = 3s", "maximal_backoff_time = 4s", "queue_run_delay = 1s", "smtp_helo_timeout = 3s",
		"smtp_tls_connection_reuse = yes", "smtp_tls_policy_maps = inline:{held.test=encrypt}", "initial_destination_concurrency = 2",
		"smtp_connection_cache_time_limit = 10s", "smtp_connection_cache_on_demand = yes", "smtp_connection_reuse_count_limit = 5",
		"smtp_connection_cache_destinations = tls13.test, tls10.test, plain.test, mixed.test, some.test, some2.test, breaks.test",
		"smtp_destination_recipient_limit = 10")
	for domain, hosts := range receivers {
		for i, b := range hosts {
			s.sinks[fmt.Sprintf("mx%d.%s", i+1, domain)].Set(b)
		}
	}
	s.sinks["mx1.held.test"].Set(posttest.Behaviour{NoOffer: true})

	want := 0
	for n := range 6 {
		for domain := range receivers {
			to := []string{fmt.Sprintf("a%d@%s", n, domain), fmt.Sprintf("b%d@%s", n, domain), fmt.Sprintf("c%d@%s", n, domain)}
			want += len(to)
			if domain == "some.test" { // the first is refused for ever
				want--
			}
			s.send(to...)
		}
		s.send(fmt.Sprintf("a%d@held.test", n))
	}
	for _, domain := range []string{"tls13.test", "plain.test"} { // from Postfix 3.11 on the header counts, and is in the log
		if err := giveMail(s.in, posttest.Mail{From: "ann@ours.example", To: []string{"more@" + domain}, Header: []string{"Require-TLS-ESMTP: yes"}}); err != nil {
			t.Fatal(err)
		}
		want++
	}
	if !within(func() bool { return s.arrived() >= want }) {
		q, _ := s.in.Queue(limit(t))
		for _, m := range q {
			t.Logf("%s: %+v", m.ID, m.Recipients)
		}
		t.Fatalf("%d of %d arrived", s.arrived(), want)
	}
	if got := s.arrived(); got < 200 {
		t.Errorf("only %d deliveries", got)
	}
	if n := len(s.sinks["mx1.held.test"].Received()); n != 0 {
		t.Errorf("%d messages in clear to a destination that must encrypt", n)
	}
	got := s.compare()
	for what, n := range map[string]int{
		"held": got.held["held.test"], "suspended": got.suspended,
		"over a reused connection in clear": got.reused[maillog.Clear], "over a reused connection with TLS": got.reused[maillog.Encrypted],
	} {
		if n == 0 {
			t.Errorf("no delivery %s was found", what)
		}
	}
}

// arrived counts what all hosts received.
func (s *outbox) arrived() (n int) {
	for _, sink := range s.sinks {
		n += len(sink.Received())
	}
	return n
}

// compare holds the log against the receivers' truth, host by host and in the
// order of time. It returns what the log says.
func (s *outbox) compare() (got found) {
	s.t.Helper()
	if !within(func() bool { // the last lines come after the mail
		got = s.readLog()
		m := 0
		for _, uses := range got.uses {
			m += len(uses)
		}
		return m == s.arrived()
	}) {
		s.t.Error("the log has not as many deliveries as the receivers")
	}
	all, wrong, kinds := 0, 0, map[string]int{}
	for host, sink := range s.sinks {
		truth := map[string]map[string]int{}
		for _, r := range sink.Received() {
			key := r.Recipient[strings.LastIndexByte(r.Recipient, '@')+1:] + " " + host
			if truth[key] == nil {
				truth[key] = map[string]int{}
			}
			truth[key][version(r.Version)]++
		}
		for key, counts := range truth {
			log := map[string]int{}
			for _, use := range got.uses[key] {
				log[use]++
			}
			for use, n := range counts {
				all += n
				kinds[use] += n
				if log[use] != n {
					wrong++
					s.t.Errorf("%s: %d %s by the receiver, the log is read as %v", key, n, use, log)
				}
			}
		}
	}
	s.t.Logf("%d deliveries: %v, %d kinds of receivers wrong; held %d, of these suspended %d; reused %v", all, kinds, wrong, got.held["held.test"], got.suspended, got.reused)
	s.lossy(got)
	return got
}

// lossy reads the log without some of its lines, where the log's writer reported the loss:
// what is found is less, and never another level.
func (s *outbox) lossy(whole found) {
	lines, err := s.in.Log().Lines()
	if err != nil {
		s.t.Fatal(err)
	}
	seen := func(f found) map[string]map[string]int {
		all := map[string]map[string]int{}
		for key, uses := range f.uses {
			all[key] = map[string]int{}
			for _, use := range uses {
				all[key][use]++
			}
		}
		return all
	}
	truth, unknown := seen(whole), 0
	for range 30 {
		from := rand.IntN(len(lines))
		to := min(from+1+rand.IntN(30), len(lines)-1)
		note := lines[to][:len("Jan _2 15:04:05 mx ")] + "systemd-journald[1]: Suppressed " + fmt.Sprint(to-from) + " messages from postfix.service"
		left := append(append(append([]string(nil), lines[:from]...), note), lines[to:]...)
		for key, uses := range seen(join(left)) {
			for use, n := range uses {
				if use == "unknown" {
					unknown += n
				} else if n > truth[key][use] {
					s.t.Errorf("%s: %d %s with lines %d to %d dropped, in truth %d", key, n, use, from, to, truth[key][use])
				}
			}
		}
	}
	s.t.Logf("with lines dropped, %d deliveries were unknown in 30 runs", unknown)
}

func version(v uint16) string {
	return map[uint16]string{0: "clear", tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[v]
}

// readLog joins the instance's log.
func (s *outbox) readLog() found {
	lines, err := s.in.Log().Lines()
	if err != nil {
		s.t.Fatal(err)
	}
	return join(lines)
}

func join(lines []string) found {
	f := found{uses: map[string][]string{}, held: map[string]int{}, reused: map[maillog.TLSUse]int{}}
	d, r := maillog.NewDeliveries(&f), maillog.NewLines(time.Now)
	d.Gap(time.Now().Add(-time.Hour)) // the log is whole
	for _, text := range lines {
		if l, ok := r.Read([]byte(text)); ok {
			d.Line(&l)
		}
	}
	return f
}
