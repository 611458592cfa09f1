package replay_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tlsratchet/internal/outbound"
	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/replay"
	"tlsratchet/tlsstate"
)

// histories is the simplest memory there is.
type histories map[tlsstate.Identity]tlsstate.History

func (h histories) Load(id tlsstate.Identity) (tlsstate.History, error) { return h[id], nil }
func (h histories) Newest() tlsstate.Day                                { return 0 }
func (h histories) Update(id tlsstate.Identity, _ netip.Addr, _ tlsstate.Day, grow func(tlsstate.History) tlsstate.History) (tlsstate.History, error) {
	h[id] = grow(h[id])
	return h[id], nil
}

// daemon is what the daemon makes of the same mail, message by message: the
// verdicts and the memory.
func daemon(t rapid.TB, mails []mail, rules *tlsstate.Rules) (verdicts []string, memory histories) {
	memory = make(histories)
	breaker := ratchet.NewBreaker(newInstallation)
	r := ratchet.New(ratchet.Options{Histories: memory, Rules: rules, Breaker: breaker, Log: slog.New(slog.DiscardHandler)})
	for _, m := range mails {
		name, addr, _ := strings.Cut(strings.TrimSuffix(m.who, "]"), "[")
		resolve := "OK"
		if name == "unknown" {
			resolve = "FAIL"
		}
		p, err := peer.Identify(peer.Client{Addr: addr, Name: name, Resolve: resolve})
		if err != nil || m.tls == "failed" || m.more == "sasl" {
			continue
		}
		p.Listener = tlsstate.Identity{Kind: tlsstate.Listener, Name: "log/mx1/postfix/smtpd"}
		s := &ratchet.Session{At: m.at, Peer: p}
		if m.tls != "" {
			s.Security = tlsstate.Security{Level: tlsstate.LevelOf(m.tls, "ECDHE-X"), Protocol: m.tls, Cipher: "ECDHE-X", Bits: 256, Certificate: m.more == "trusted"}
		}
		d := r.Decide(s)
		r.Learn(s, &d)
		if d.Outcome != tlsstate.Unknown {
			verdicts = append(verdicts, fmt.Sprintf("%s %s %s %s", m.at.Format(time.RFC3339), d.Identity, d.Outcome, d.Seen.Words()))
		}
	}
	return verdicts, memory
}

// Replay and the daemon agree, always: on every verdict and on the memory.
func TestAgreesWithDaemon(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		policy := rules(r, func(p *tlsstate.Policy) { p.PinAfterDays = rapid.IntRange(1, 3).Draw(r, "pin after") })
		mails := world(r)
		wantVerdicts, memory := daemon(r, mails, policy)
		var out bytes.Buffer
		got := read(r, text(mails)).run(replay.Options{Rules: policy, Breaker: newInstallation, Verdicts: &out, Sending: outbound.Settings{Rules: policy}})
		var verdicts []string
		for line := range bytes.Lines(out.Bytes()) {
			var v struct {
				At                      time.Time
				Identity, Outcome, Seen string
			}
			if err := json.Unmarshal(line, &v); err != nil {
				r.Fatal(err)
			}
			verdicts = append(verdicts, fmt.Sprintf("%s %s %s %s", v.At.Format(time.RFC3339), v.Identity, v.Outcome, v.Seen))
		}
		if diff := cmp.Diff(wantVerdicts, verdicts); diff != "" {
			r.Errorf("- daemon, + replay:\n%s", diff)
		}
		// The log shows handshakes that failed, which the daemon never sees: replay
		// learns nothing of mail in clear after one.
		if slices.ContainsFunc(mails, func(m mail) bool { return m.tls == "failed" }) {
			return
		}
		for id, h := range memory {
			if id.Kind == tlsstate.Listener {
				delete(memory, id)
			} else if h != got.Histories[id] {
				r.Errorf("%s: the daemon remembers %+v, replay %+v", id, h, got.Histories[id])
			}
		}
		if len(memory) != len(got.Histories) {
			r.Errorf("the daemon remembers %d identities, replay %d", len(memory), len(got.Histories))
		}
	})
}

// On the first day of TLS: clear, TLS, clear. The third is no different for replay.
func TestFirstDayOfTLS(t *testing.T) {
	other := "mx.other.example[198.51.100.1]"
	mails := []mail{{at: on(1, 7, 0), who: other, tls: "TLSv1.3"}, {at: on(1, 8, 0), who: bank}, {at: on(1, 9, 0), who: bank, tls: "TLSv1.3"}, {at: on(1, 10, 0), who: bank}}
	if r := judge(t, mails); r.Judged.Messages != 4 || r.Unknown.Messages != 0 {
		t.Errorf("%+v", r)
	}
}

// An outage of ours teaches nothing: neither the peers with a pin nor the others.
func TestOutageTeachesNothing(t *testing.T) {
	var calm, mails []mail
	for n := range 12 {
		calm = append(calm, steady(fmt.Sprintf("mx.peer%d.example[20.0.%d.1]", n, n), 1, 3+n%4)...)
	}
	mails = slices.Clone(calm)
	for n := range 12 {
		mails = append(mails, mail{at: on(8, 9, 20*n), who: fmt.Sprintf("mx.peer%d.example[20.0.%d.1]", n, n)})
	}
	mails = append(mails, mail{at: on(9, 9, 0), who: bank, tls: "TLSv1.3"})
	want := read(t, text(append(calm, mails[len(mails)-1]))).Judge(rules(t, nil))
	got := read(t, text(mails)).Judge(rules(t, nil))
	if diff := cmp.Diff(want.Histories, got.Histories); diff != "" {
		t.Error(diff)
	}
	if len(got.Report.Incidents) == 0 || got.Report.Incidents[0].Fault != replay.FaultOutage {
		t.Errorf("%+v", got.Report.Incidents)
	}
	// Ten peers may be a coincidence.
	few := slices.DeleteFunc(mails, func(m mail) bool { return m.tls == "" && m.at.After(on(8, 12, 0)) })
	if got := read(t, text(few)).Judge(rules(t, nil)); cmp.Equal(want.Histories, got.Histories) {
		t.Error("ten peers in clear teach nothing")
	}
}
