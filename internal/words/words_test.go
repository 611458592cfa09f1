package words_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tlsratchet/internal/peer"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/words"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

const dayZero = tlsstate.Day(20000)

var (
	clear  = tlsstate.Security{}
	weak   = tlsstate.Security{Level: tlsstate.Weak, Protocol: "TLSv1"}
	static = tlsstate.Security{Level: tlsstate.Weak, Protocol: "TLSv1.2"}
	null   = tlsstate.Security{Protocol: "TLSv1.2", Cipher: "NULL-SHA256"}
)

// downgrade is a verdict of a bank that was pinned on 41 days.
func downgrade(kind tlsstate.Downgrade, seen tlsstate.Security, change ...func(*tlsstate.Verdict)) *tlsstate.Verdict {
	v := &tlsstate.Verdict{
		Outcome: tlsstate.Downgraded, Kind: kind, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"},
		Seen: seen, Pin: tlsstate.TLS12, State: tlsstate.PinHolds, Since: dayZero - 50, Last: dayZero - 1, Days: 41, Below: 1,
	}
	for _, c := range change {
		c(v)
	}
	return v
}

func required(v *tlsstate.Verdict) {
	v.Required, v.State, v.Since, v.Last, v.Days = true, tlsstate.PinNone, 0, 0, 0
}
func old(v *tlsstate.Verdict)      { v.Since, v.Last, v.Days = dayZero-150, dayZero-100, 0 }
func released(v *tlsstate.Verdict) { v.State, v.Below = tlsstate.PinReleased, 3 }

// TestTexts: what each reader gets of a verdict.
func TestTexts(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		v                         *tlsstate.Verdict
		operator, sender, postfix string
	}{
		{"stripped", downgrade(tlsstate.Stripped, clear),
			"address:192.0.2.10 came in clear; it used TLSv1.2 or better on 41 of the last 64 days, last on 2024-10-03, pinned since 2024-08-15",
			"451 4.7.1 192.0.2.10: TLS required: you used it on 41 of the last 64 days, last on 2024-10-03; this session is not encrypted",
			"stripped: 192.0.2.10, seen none, expected TLSv1.2; met on 41/64 days, last on 2024-10-03"},
		{"a cipher that encrypts nothing", downgrade(tlsstate.Stripped, null),
			"address:192.0.2.10 came in clear: NULL-SHA256 encrypts nothing; it used TLSv1.2 or better on 41 of the last 64 days, last on 2024-10-03, pinned since 2024-08-15",
			"451 4.7.1 192.0.2.10: TLS required: you used it on 41 of the last 64 days, last on 2024-10-03; this session is not encrypted",
			"stripped: 192.0.2.10, seen none, expected TLSv1.2; met on 41/64 days, last on 2024-10-03"},
		{"weakened", downgrade(tlsstate.Weakened, weak),
			"address:192.0.2.10 came with TLSv1; it used TLSv1.2 or better on 41 of the last 64 days, last on 2024-10-03, pinned since 2024-08-15",
			"451 4.7.1 192.0.2.10: TLSv1.2 or better required: you used it on 41 of the last 64 days, last on 2024-10-03; this session uses TLSv1",
			"weakened: 192.0.2.10, seen TLSv1, expected TLSv1.2; met on 41/64 days, last on 2024-10-03"},
		{"a pin older than the window", downgrade(tlsstate.Stripped, clear, old),
			"address:192.0.2.10 came in clear; it used TLSv1.2 or better until 2024-06-26, pinned since 2024-05-07",
			"451 4.7.1 192.0.2.10: TLS required: you used it until 2024-06-26; this session is not encrypted",
			"stripped: 192.0.2.10, seen none, expected TLSv1.2; met until 2024-06-26"},
		{"a row, no forward secrecy", downgrade(tlsstate.Weakened, static, required),
			"address:192.0.2.10 came with TLSv1.2 without forward secrecy; a row of the configuration requires TLSv1.2",
			"451 4.7.1 192.0.2.10: TLSv1.2 or better required by the recipient's policy; this session uses TLSv1.2 without forward secrecy",
			"weakened: 192.0.2.10, seen TLSv1.2, expected TLSv1.2"},
		{"certificate", downgrade(tlsstate.Unauthenticated, tlsstate.Security{Level: tlsstate.TLS13, Protocol: "TLSv1.3"}),
			"address:192.0.2.10 came with TLSv1.3 but without its client certificate; it showed it on 41 of the last 64 days, last on 2024-10-03, pinned since 2024-08-15",
			"451 4.7.1 192.0.2.10: client certificate required: you showed it on 41 of the last 64 days, last on 2024-10-03; this session has none or another one",
			"unauthenticated: 192.0.2.10, seen TLSv1.3, expected certificate; met on 41/64 days, last on 2024-10-03"},
		{"certificate of a row", downgrade(tlsstate.Unauthenticated, tlsstate.Security{Level: tlsstate.TLS13, Protocol: "TLSv1.3"}, required, func(v *tlsstate.Verdict) { v.Pin = tlsstate.Plaintext }),
			"address:192.0.2.10 came with TLSv1.3 but without its client certificate; a row of the configuration requires one of its fingerprints",
			"451 4.7.1 192.0.2.10: your client certificate required by the recipient's policy; this session has none or another one",
			"unauthenticated: 192.0.2.10, seen TLSv1.3, expected certificate"},
		{"released", downgrade(tlsstate.NoDowngrade, clear, released),
			"address:192.0.2.10 came in clear; it used TLSv1.2 or better on 41 of the last 64 days, last on 2024-10-03, pinned since 2024-08-15; the pin no longer holds: below it on 3 days since it was last met, or on each of the last five",
			"", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := words.Verdict(tt.v); got != tt.operator {
				t.Errorf("operator: got  %s\nwant %s", got, tt.operator)
			}
			if tt.sender == "" {
				return
			}
			if got := words.Reply(tt.v, tlsstate.Tempfail, ""); got != tt.sender {
				t.Errorf("sender: got  %s\nwant %s", got, tt.sender)
			}
			if got := words.Quarantine(tt.v); got != tt.postfix || len(got) > 102 {
				t.Errorf("quarantine, %d bytes: got  %s\nwant %s", len(got), got, tt.postfix)
			}
		})
	}
	if got := words.Reply(downgrade(tlsstate.Stripped, clear), tlsstate.Reject, "https://example.org/tls"); !strings.HasPrefix(got, "550 5.7.1 192.0.2.10: ") || !strings.HasSuffix(got, "; see https://example.org/tls") {
		t.Error(got)
	}
}

func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		v    *tlsstate.Verdict
		more int
		want string
	}{
		{downgrade(tlsstate.Stripped, clear), 0, "downgrade; kind=stripped; identity=address:192.0.2.10;\n\tpin=TLSv1.2; seen=none; since=2024-08-15; days=41/64"},
		{downgrade(tlsstate.Stripped, clear, old), 0, "downgrade; kind=stripped; identity=address:192.0.2.10;\n\tpin=TLSv1.2; seen=none; since=2024-05-07; last=2024-06-26"},
		{downgrade(tlsstate.Stripped, clear, required), 7980, "downgrade; kind=stripped; identity=address:192.0.2.10;\n\trequired=TLSv1.2; seen=none; forged=7980"},
		{downgrade(tlsstate.NoDowngrade, clear, released), 0, "downgrade; kind=none; identity=address:192.0.2.10; pin=TLSv1.2;\n\tseen=none; since=2024-08-15; days=41/64; state=released"},
	} {
		if got := words.Header(tt.v, tt.more); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
	for n := range 60 { // a line has what fits, and no more
		v := downgrade(tlsstate.Unauthenticated, weak)
		v.Identity.Name = strings.Repeat("a", 1+n)
		lines := strings.Split("X-TLS-Ratchet: "+strings.ReplaceAll(words.Header(v, 0), "\t", strings.Repeat(" ", 8)), "\n")
		for i, line := range lines {
			if len(line) > 78 && strings.Contains(line, "; ") {
				t.Errorf("%d bytes: %s", len(line), line)
			}
			if i > 0 {
				next, _, more := strings.Cut(strings.TrimSpace(line), "; ")
				if len(lines[i-1]+" "+strings.TrimSuffix(next, ";")+";") <= 78 {
					t.Errorf("%s has room for %s, %v", lines[i-1], next, more)
				}
			}
		}
	}
}

// TestShortTexts: what other rooms put into their own sentences.
func TestShortTexts(t *testing.T) {
	rowed := func(k tlsstate.Downgrade) string { return words.Expected(downgrade(k, clear, required)) }
	remembered := func(k tlsstate.Downgrade) string { return words.Expected(downgrade(k, clear)) }
	reason := ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Exempt}, Reason: ratchet.ErrExempt}
	for got, want := range map[string]string{
		rowed(tlsstate.Unauthenticated):      "a client certificate of the configuration",
		rowed(tlsstate.Stripped):             "TLSv1.2 or better, by the configuration",
		remembered(tlsstate.Unauthenticated): "its client certificate",
		remembered(tlsstate.Stripped):        "TLSv1.2 or better",
		words.Outcome(&reason):               "exempt: " + ratchet.ErrExempt.Error(),
		words.Outcome(&ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.New}}): "new",
		words.Number(7): "7", words.Number(999): "999", words.Number(1000): "1,000", words.Number(123456): "123,456", words.Number(uint64(1234567)): "1,234,567",
		words.Verdict(&tlsstate.Verdict{Outcome: tlsstate.Learning, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}, Seen: weak}): "address:192.0.2.10 came with TLSv1",
		words.Header(&tlsstate.Verdict{}, 0):                                      "unknown",
		words.Header(&tlsstate.Verdict{Outcome: tlsstate.New}, 0):                 "new; seen=none",
		words.Header(&tlsstate.Verdict{Seen: weak}, 0):                            "unknown; seen=TLSv1",
		words.Header(downgrade(tlsstate.Unauthenticated, weak, required), 1)[:76]: "downgrade; kind=unauthenticated; identity=address:192.0.2.10;\n\trequired=cert",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if encrypted, all := words.Encrypted([4]uint64{1, 2, 3, 4}); encrypted != 9 || all != 10 {
		t.Errorf("%d of %d", encrypted, all)
	}
}

// TestPin: a pin that the next session below it would release states both.
func TestPin(t *testing.T) {
	rule := tlsstate.DefaultPolicy()
	formed := tlsstate.Pin{Formed: dayZero, Met: dayZero}
	for _, tt := range []struct {
		pin         tlsstate.Pin
		today, next tlsstate.PinState
		want        string
	}{
		{formed, tlsstate.PinHolds, tlsstate.PinHolds, "holds"},
		{formed, tlsstate.PinHolds, tlsstate.PinReleased, "holds, but not against a session below it today: that one is accepted (below it on 3 days since it was last met, or on each of the last five)"},
		{formed, tlsstate.PinLapsed, tlsstate.PinLapsed, "lapsed: not met for 180 days"},
		{formed, tlsstate.PinRelaxed, tlsstate.PinRelaxed, "relaxed: below it on 6 or more of the last 64 days: only partly encrypted"},
		{tlsstate.Pin{}, tlsstate.PinNone, tlsstate.PinNone, "not formed"},
		{tlsstate.Pin{Formed: dayZero, Void: dayZero}, tlsstate.PinNone, tlsstate.PinNone, "dropped by an operator on 2024-10-04; new days form a new one"},
	} {
		if got := words.Pin(tt.pin, tt.today, tt.next, &rule); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestBreaker(t *testing.T) {
	suspended, noon := ratchet.Suspended, dayZero.Time()
	for want, s := range map[string]ratchet.BreakerState{
		"set by an operator: nothing is refused or held, but for [[peer]] rows; downgrades get a header at most": {Override: &suspended},
		"our own STARTTLS seems broken: the self-check got no TLS; ":                                             {Answer: suspended, Since: noon, BrokenTo: noon.Add(time.Minute)},
		"our own STARTTLS seems broken: many pinned domains came in clear, and no encrypted session since; ":     {Answer: suspended, Since: noon},
	} {
		if got := words.Breaker(&s); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestLog: action is what was done, and limited_by states why it is less than
// what is configured.
func TestLog(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.10")
	for _, tt := range []struct {
		name   string
		change func(*ratchet.Event)
		want   string
	}{
		{"as decided", func(e *ratchet.Event) { e.Recipient, e.Refused = "bob@ours.example", true }, "action=reject identity="},
		{"postmaster's mail", func(*ratchet.Event) {}, "action=header limited_by=recipient identity="},
		{"breaker", func(e *ratchet.Event) { e.Decision.Action = tlsstate.Header }, "action=header limited_by=breaker identity="},
		{"gave up", func(e *ratchet.Event) { e.Done = false }, "action=reject done=false identity="},
		{"formed", func(e *ratchet.Event) {
			e.Decision.Outcome, e.Decision.Kind = tlsstate.Raised, tlsstate.NoDowngrade
		}, "level=INFO msg=pinned identity=address:192.0.2.10 pin=TLSv1.2 seen=none since=2024-08-15 last=2024-10-03 days=41/64 client="},
		{"released", func(e *ratchet.Event) {
			e.Decision.Outcome, e.Decision.State, e.Decision.Changes = tlsstate.Learning, tlsstate.PinReleased, true
		}, `level=WARN msg="pin released" identity=`},
		{"released, and known to be", func(e *ratchet.Event) {
			e.Decision.Outcome, e.Decision.State = tlsstate.Learning, tlsstate.PinReleased
		}, ""},
		{"steady", func(e *ratchet.Event) { e.Decision.Outcome, e.Decision.Changes = tlsstate.Steady, true }, ""},
		{"a row that is not known", func(e *ratchet.Event) { required(&e.Decision.Verdict) }, "identity=address:192.0.2.10 pin=TLSv1.2 seen=none client="},
		{"not known", func(e *ratchet.Event) {
			*e.Decision = ratchet.Decision{Reason: ratchet.ErrNoSTARTTLS}
		}, `level=DEBUG msg="not judged" outcome=unknown client=`},
		{"private", func(e *ratchet.Event) {
			*e.Decision = ratchet.Decision{Verdict: tlsstate.Verdict{Outcome: tlsstate.Exempt}, Reason: ratchet.ErrExempt}
		}, `level=DEBUG msg="not judged" outcome=exempt client=unknown[192.0.2.10] from=<alice@bank.example> why="the configuration exempts the client"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := downgrade(tlsstate.Stripped, clear)
			v.Action = tlsstate.Reject
			e := ratchet.Event{
				Session: &ratchet.Session{Peer: peer.Peer{IP: ip}, From: "alice@bank.example"}, Decision: &ratchet.Decision{Verdict: *v, Unlimited: tlsstate.Reject},
				Done: true,
			}
			tt.change(&e)
			var out bytes.Buffer
			words.Log(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), &e)
			if !strings.Contains(out.String(), tt.want) || tt.want == "" && out.Len() > 0 {
				t.Errorf("got %s want %s", out.String(), tt.want)
			}
		})
	}
}

// TestLogNamesTheRow: what a row requires is logged as the row's.
func TestLogNamesTheRow(t *testing.T) {
	rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), []tlsstate.Row{{Domain: "bank.example", Subdomains: true, Least: tlsstate.TLS12}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.Identify(peer.Client{Addr: "192.0.2.10", Name: "mx.bank.example", Resolve: "OK"})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	histories := store.NewMemory(100)
	defer histories.Close()
	s := &ratchet.Session{At: dayZero.Time(), Peer: p}
	d := ratchet.New(ratchet.Options{Histories: histories, Rules: rules, Log: log}).Decide(s)
	var out bytes.Buffer
	words.Log(slog.New(slog.NewTextHandler(&out, nil)), &ratchet.Event{Session: s, Decision: &d, Done: true})
	if !strings.Contains(out.String(), "identity=row:bank.example") {
		t.Error(out.String())
	}
}

// An operator reads why a domain's pin counts against an address without one.
func TestSupportInWords(t *testing.T) {
	v := downgrade(tlsstate.Stripped, clear)
	v.Support, v.Recalled = tlsstate.SupportNetwork, true
	if got := words.Verdict(v); !strings.HasSuffix(got, "; DNS confirmed no name: the domain is the last one known of the address or its network; its hosts in the same network use TLS") {
		t.Error(got)
	}
}

// TestVerb: mail comes from a peer, and a destination answers.
func TestVerb(t *testing.T) {
	v := tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Pin: tlsstate.TLS12, Since: 20000, Last: 20700, Days: 5}
	for id, want := range map[tlsstate.Identity]string{
		{Kind: tlsstate.Domain, Name: "bank.example"}:      "domain:bank.example came in clear; it used TLSv1.2 or better on 5 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04",
		{Kind: tlsstate.Destination, Name: "bank.example"}: "destination:bank.example answered in clear; it used TLSv1.2 or better on 5 of the last 64 days, last on 2026-09-04, pinned since 2024-10-04",
	} {
		if v.Identity = id; words.Verdict(&v) != want {
			t.Errorf("got %s, want %s", words.Verdict(&v), want)
		}
	}
}
