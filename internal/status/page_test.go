package status_test

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"tlsratchet/internal/incident"
	"tlsratchet/internal/ratchet"
	"tlsratchet/internal/selfcheck"
	"tlsratchet/internal/status"
	"tlsratchet/tlsstate"
)

// contains looks for pieces of text in a page.
func contains(t *testing.T, body string, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(body, p) {
			t.Errorf("the page doesn't say %q", p)
		}
	}
}

func TestOverview(t *testing.T) {
	code, body := get(t, serve(t, busyPage(t, "bank.example", "partner.example")), "/")
	if code != 200 {
		t.Fatal(code)
	}
	contains(t, body, "came without TLS", "bank.example", "mx1.bank.example<wbr>[192.0.2.10]", "41 of 64 days", "2026-05-06",
		"armed", "STARTTLS of our own", "certificate until 2027-01-21, 60 days", "printer.partner.example", "not reached", `<svg class="picture"`)
	if n := strings.Count(body, "<g>"); n != 64 {
		t.Errorf("%d columns in the picture", n)
	}
}

// TestSending: the mail that is sent, and nothing of it where nobody watches.
func TestSending(t *testing.T) {
	_, body := get(t, serve(t, busyPage(t, "bank.example")), "/")
	contains(t, body, "99\u202f% of 1\u202f000 deliveries in 64 days went encrypted. 1\u202f234 destinations are pinned in the memory of this host; the action is <code>hold</code>.",
		"STARTTLS was not offered", "2026-11-24")
	_, body = get(t, serve(t, troublePage(t)), "/")
	contains(t, body, "is dane.", "permission denied", "smtp_tls_loglevel in /etc/postfix is 0", `<span class="mark bad">outage</span>`, "And 22 more")
	p := busyPage(t)
	_, body = get(t, serve(t, p), "/")
	contains(t, body, "No destination fails.")
	if _, body = get(t, serve(t, emptyPage(t)), "/"); strings.Contains(body, "Mail that you send") {
		t.Error("a sending side that is off is shown")
	}
}

// TestTrouble: what is wrong with the history file is on the overview while it is.
func TestTrouble(t *testing.T) {
	p := emptyPage(t)
	if _, body := get(t, serve(t, p), "/"); strings.Contains(body, "History file") {
		t.Error("trouble is shown where there is none")
	}
	p.Trouble = func() string { return "history file can't be written\nno snapshot of <it>\n" }
	_, body := get(t, serve(t, p), "/")
	contains(t, body, "History file", "History file can&#39;t be written.", "No snapshot of &lt;it&gt;.")
}

// TestBreakerWords: what the breaker's answer means, and whose it is.
func TestBreakerWords(t *testing.T) {
	softened := ratchet.Softened
	for want, state := range map[string]ratchet.BreakerState{
		"<p>Few downgrades: actions are as configured.":  {},
		"somebody may strip TLS close to us":             {Answer: ratchet.Softened, Since: noon, BrokenTo: noon.Add(-time.Hour)},
		"<p>Our own STARTTLS was broken and works again": {Answer: ratchet.Softened, Since: noon, BrokenTo: noon.Add(-10 * time.Second)},
		"<p>Our own STARTTLS seems broken":               {Answer: ratchet.Suspended, Since: noon, BrokenTo: noon},
		"<p>Set by an operator: ":                        {Answer: ratchet.Suspended, Override: &softened},
	} {
		p := emptyPage(t)
		p.Breaker = func() ratchet.BreakerState { return state }
		_, body := get(t, serve(t, p), "/")
		contains(t, body, want, state.Holds().String()+"</span>")
		if state.Repaired() && strings.Contains(body, "strip close to us") {
			t.Error("after a repair it still says that somebody strips us")
		}
	}
}

// TestClosedBy: why an incident is over, in words.
func TestClosedBy(t *testing.T) {
	for reason, want := range map[incident.Reason]string{
		incident.Met: "TLS as expected again", incident.Quiet: "no downgrade for 24 hours", incident.Unpinned: "an operator dropped the pin", "new": "new",
	} {
		p := busyPage(t)
		p.Of = func(id tlsstate.Identity) []incident.Incident {
			all := busyIncidents([]string{id.Name})
			all[0].Closed, all[0].ClosedBy = noon, reason
			return all
		}
		_, body := get(t, serve(t, p), "/peer?name=bank.example")
		contains(t, body, "closed at 2026-11-22 12:34 UTC: "+want+"</dd>")
	}
}

// TestManyOfAPeer: ten incidents of a peer are shown, and how many more there are.
func TestManyOfAPeer(t *testing.T) {
	for n, want := range map[int]string{10: "", 11: "And 1 more: <code>tlsratchet incidents show domain:bank.example</code>."} {
		p := busyPage(t)
		p.Of = func(id tlsstate.Identity) []incident.Incident {
			return slices.Repeat(busyIncidents([]string{id.Name})[:1], n)
		}
		_, body := get(t, serve(t, p), "/peer?name=bank.example")
		contains(t, body, want)
		if shown := strings.Count(body, "<article"); shown != 10 || want == "" && strings.Contains(body, " more: ") {
			t.Errorf("of %d incidents %d are shown: %s", n, shown, body)
		}
	}
}

// TestManyIncidents: the list ends somewhere, the number doesn't.
func TestManyIncidents(t *testing.T) {
	for _, n := range []int{0, 8, 9, 1234} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("bank%d.example", i)
		}
		_, body := get(t, serve(t, busyPage(t, names...)), "/")
		want := map[int]string{1234: "1\u202f234"}[n]
		if want == "" {
			want = strconv.Itoa(n)
		}
		contains(t, body, `<p class="big">`+want+"</p>")
	}
}

// TestQuiet: a daemon that just started says so, and draws nothing.
func TestQuiet(t *testing.T) {
	s := serve(t, emptyPage(t))
	_, body := get(t, s, "/")
	contains(t, body, "No mail yet today", "No message was counted yet", "None today since the daemon started", "Not counted yet", "STARTTLS of this server is not tested")
	if strings.Contains(body, `class="picture"`) {
		t.Error("a picture of nothing")
	}
	_, body = get(t, s, "/incidents")
	contains(t, body, "No open incidents")
}

func TestIncidents(t *testing.T) {
	_, body := get(t, serve(t, busyPage(t, "bank.example", "partner.example")), "/incidents")
	contains(t, body, "it used TLSv1.2 or better on 41 of the last 64 days", "about 11 addresses in 3 networks",
		"header 8, tempfail 3, 1 ended before the action", "newsletter.bank.example", "4XyZ1A2b3C", "its client certificate",
		`tlsratchet peer unpin <span class="all">--why TEXT</span> domain:bank.example`)
}

// TestCommandsAreSafe: a name that a shell would take for more is not put into
// a command.
func TestCommandsAreSafe(t *testing.T) {
	for _, name := range []string{"$(reboot).example", "a;b.example", "a`b`.example", "a|b", "a>b", "a&b", "a'b", "a*b", "a\"b", "a\\b", "a\nb", "a b"} {
		_, body := get(t, serve(t, busyPage(t, name)), "/incidents")
		if strings.Contains(body, "<code>tlsratchet") {
			t.Errorf("a command with %q", name)
		}
	}
}

func TestPeer(t *testing.T) {
	p := busyPage(t)
	s := serve(t, p)
	_, body := get(t, s, "/peer?name=bank.example")
	contains(t, body, "bank.example <span", `First seen on <span class="day">2026-06-`, "Seen on 55 of the last 64 days; in clear on 1 of them.",
		`<span class="mark good">holds</span>`, "<p>A session in clear now would be a downgrade; the action would be header.</p>", "tlsratchet peer show domain:bank.example")
	for path, want := range map[string]string{
		"/peer":                         "By the host name, domain or address",
		"/peer?name=+":                  "By the host name, domain or address",
		"/peer?name=stranger.example":   "there is no history of it",
		"/peer?name=%3Cb%3E":            "no name of a peer: &lt;b&gt;",
		"/peer?name=a%1bb":              "no name of a peer: a?b",
		"/peer?name=address:192.0.2.10": "192.0.2.10 <span",
	} {
		code, body := get(t, s, path)
		if code != 200 {
			t.Errorf("%s: %d", path, code)
		}
		contains(t, body, want)
	}
	p.Load = func(tlsstate.Identity) (tlsstate.History, error) { return tlsstate.History{}, errors.New("disk gone") }
	_, body = get(t, serve(t, p), "/peer?name=bank.example")
	contains(t, body, "The memory could not be read: disk gone")
}

// TestPeerPins: each state of a pin in words, and what an operator did.
func TestPeerPins(t *testing.T) {
	held := faithful(t)
	contested := held
	contested.Seen[tlsstate.Plaintext] |= 1 << 60
	contested.Pins[tlsstate.TLS12-1].Formed = today() - 30
	relaxed := held
	relaxed.Seen[tlsstate.Plaintext] |= 0b1010101010 // between days with TLS
	old := held
	old.Pins[tlsstate.TLS12-1].Met -= 200
	certificate := held
	certificate.CertPin = tlsstate.Pin{Formed: today() - 9, Met: today() - 1}
	for name, tc := range map[string]struct {
		history tlsstate.History
		want    []string
	}{
		"unpinned":    {held.Unpin(today()), []string{"dropped by an operator on ", "An operator dropped its earlier pins"}},
		"forgotten":   {held.Forget(today()), []string{"Its history was dropped by an operator; no mail came since"}},
		"released":    {below(trained(10), -3, -2, -1), []string{"released", "below it on 3 days since it was last met"}},
		"relaxed":     {relaxed, []string{"relaxed", "only partly encrypted"}},
		"contested":   {contested, []string{"contested", "a session below it was seen before it formed"}},
		"lapsed":      {old, []string{"lapsed", "not met for 180 days"}},
		"certificate": {certificate, []string{"client certificate"}},
		"from ahead":  {below(held, 3), []string{"Seen on"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := busyPage(t)
			p.Load = func(tlsstate.Identity) (tlsstate.History, error) { return tc.history, nil }
			p.Explain = explain(p.Load, rules(t))
			_, body := get(t, serve(t, p), "/peer?name=bank.example")
			contains(t, body, tc.want...)
		})
	}
}

// TestWishes of the configuration stand on the page, for the identity that they
// are for.
func TestWishes(t *testing.T) {
	tempfail := tlsstate.Tempfail
	r := rules(t,
		tlsstate.Row{Domain: "bank.example", Least: tlsstate.TLS12},
		tlsstate.Row{Domain: "partner.example", Action: &tempfail},
		tlsstate.Row{Domain: "printer.example", Exempt: true})
	p := busyPage(t)
	p.Explain = explain(p.Load, r)
	s := serve(t, p)
	for name, want := range map[string]string{
		"bank.example":    "The configuration requires TLSv1.2 or better of it",
		"partner.example": "A [[peer]] row of the configuration applies to it",
		"printer.example": "The configuration exempts it",
	} {
		_, body := get(t, s, "/peer?name="+name)
		contains(t, body, want)
	}
	if _, body := get(t, s, "/peer?name=other.example"); strings.Contains(body, "The configuration") {
		t.Error("a wish for somebody else")
	}
}

// TestBreakerAndSelfCheck: each state has its words.
func TestBreakerAndSelfCheck(t *testing.T) {
	for answer, want := range map[ratchet.Answer]string{
		ratchet.Softened: "somebody may strip TLS close to us", ratchet.Suspended: "Our own STARTTLS seems broken",
	} {
		p := busyPage(t)
		p.Breaker = func() ratchet.BreakerState {
			return ratchet.BreakerState{Answer: answer, Since: noon, Recent: []ratchet.BreakerName{{Name: "together.example", At: noon}}}
		}
		_, body := get(t, serve(t, p), "/")
		contains(t, body, answer.String(), want, "together.example", "Since <time")
	}
	mended := selfcheck.Result{At: noon, Reachable: true, Offered: true, Handshake: true, CertNotBefore: noon.AddDate(-1, 0, 0), CertNotAfter: noon.AddDate(0, 0, 2)}
	expired, refused, gone := mended, mended, mended
	expired.CertNotAfter = noon.AddDate(0, 0, -1)
	refused.Handshake, gone.Offered = false, false
	for want, r := range map[string]selfcheck.Result{
		"certificate expires soon": mended, "certificate not valid": expired, "handshake fails": refused, "not offered": gone, "no answer": {At: mended.At}, "has not answered yet": {},
	} {
		p := busyPage(t)
		p.SelfCheck = func() selfcheck.Result { return r }
		_, body := get(t, serve(t, p), "/")
		contains(t, body, want)
	}
}

// TestPicture: the boxes of a day fill its column, whatever the counts.
func TestPicture(t *testing.T) {
	p := emptyPage(t)
	p.Tally = func(today tlsstate.Day) incident.Tally {
		var a, b, future incident.DayCounts
		a.Day, b.Day, future.Day = today-63, today, today+1
		a.Counts[tlsstate.Plaintext][tlsstate.New] = 1
		b.Counts[tlsstate.TLS13][tlsstate.Steady] = 1 << 62
		b.Counts[tlsstate.Plaintext][tlsstate.Downgraded] = 1
		future.Counts[tlsstate.TLS13][tlsstate.Steady] = 5
		return incident.Tally{a, {Day: today - 5}, b, future}
	}
	_, body := get(t, serve(t, p), "/")
	if n := strings.Count(body, "<g>"); n != 2 {
		t.Errorf("%d columns, want 2: an empty day and a day to come have none", n)
	}
	contains(t, body, `height="160.00"`)
	if strings.Contains(body, "NaN") || strings.Contains(body, "Inf") || strings.Contains(body, `height="-`) {
		t.Error("a box that is none")
	}
}

// TestDrawings: where each day and each level stands in the two charts, and what the axes
// are marked with.
func TestDrawings(t *testing.T) {
	p := busyPage(t)
	p.Tally = func(today tlsstate.Day) incident.Tally {
		first, last := incident.DayCounts{Day: today - 63}, incident.DayCounts{Day: today}
		first.Counts[tlsstate.Weak][tlsstate.New] = 2
		last.Counts[tlsstate.TLS13][tlsstate.Steady], last.Counts[tlsstate.Plaintext][tlsstate.New] = 3, 1
		return incident.Tally{first, last}
	}
	_, body := get(t, serve(t, p), "/")
	contains(t, body, `<rect class="l1" x="0.75" y="8.00" width="8.50" height="160.00"/>`,
		`<rect class="l3" x="630.75" y="48.00" width="8.50" height="120.00"/><rect class="l0" x="630.75" y="8.00" width="8.50" height="40.00"/>`,
		`text-anchor="start">20 Sep<`, `x="215" y="100%" dy="-6" text-anchor="middle">11 Oct<`, `x="425" y="100%" dy="-6" text-anchor="middle">1 Nov<`, `x="635" y="100%" dy="-6" text-anchor="end">today<`,
		`viewBox="0 0 648 194"`, `y1="168" y2="168"`, `y="172" text-anchor="end">0 %<`, `y="12" text-anchor="end">100 %<`)
	p.Load = func(tlsstate.Identity) (tlsstate.History, error) { return below(tlsstate.History{}, 0), nil }
	p.Explain = explain(p.Load, rules(t))
	_, body = get(t, serve(t, p), "/peer?name=bank.example")
	contains(t, body, `viewBox="0 0 648 94"`, `<rect class="l0" x="630.75" y="54.00" width="8.50" height="14.00"/>`, `<rect class="no" x="0.75" y="0.00"`,
		`y="11" text-anchor="end">TLS 1.3<`, `y="65" text-anchor="end">in clear<`, "None has formed.", "<td class=\"n\">1</td><td class=\"days\">2026-11-22</td>")
	if n := strings.Count(body, `class="no"`) + strings.Count(body, `<rect class="l0" x=`); n != 4*64 {
		t.Errorf("%d days drawn", n)
	}
}

// TestNoPageHasScripts: no script, no style of its own, nothing from elsewhere.
func TestNoPageHasScripts(t *testing.T) {
	s := serve(t, busyPage(t, hostile...))
	foreign := regexp.MustCompile(`(?i)<(script|style|iframe|object|embed|base|link[^>]+href="[^/])|\s(on\w+|style)=|(src|href|action)="(?:[^/]|//)`)
	for _, path := range []string{"/", "/incidents", "/peer?name=bank.example", "/peer?name=%22%3E%3Cscript%3E"} {
		_, body := get(t, s, path)
		body = strings.ReplaceAll(body, `href="#main"`, "")
		if found := foreign.FindString(body); found != "" {
			t.Errorf("%s: %q", path, found)
		}
	}
}

// TestAnyNameStaysText: of any name whatever, the page's elements are those of
// a harmless one's, and all bytes of its text are clean.
func TestAnyNameStaysText(t *testing.T) {
	shape := func(t *rapid.T, name string) (tags string) {
		_, body := get(&testing.T{}, serve(&testing.T{}, busyPage(&testing.T{}, name)), "/")
		for z := html.NewTokenizer(strings.NewReader(body)); ; {
			switch z.Next() {
			case html.ErrorToken:
				return tags
			case html.StartTagToken:
				tag, _ := z.TagName()
				tags += string(tag) + " "
			case html.TextToken:
				for _, c := range string(z.Text()) {
					if c < ' ' && c != '\n' || c > '~' && !strings.ContainsRune("–…’\u202f", c) {
						t.Fatalf("%q leaves us", c)
					}
				}
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[<>"'&;/=a-z\x00-\x1f]{1,40}`), rapid.SampledFrom(hostile)).Draw(rt, "name")
		if got, want := shape(rt, name), shape(rt, "harmless.example"); got != want {
			rt.Fatalf("with %q:\n%s\nwant\n%s", name, got, want)
		}
	})
}

// FuzzSearch: whatever is looked up, there is an answer.
func FuzzSearch(f *testing.F) {
	f.Add("bank.example")
	f.Add("address:192.0.2.10")
	f.Add("listener:x")
	f.Fuzz(func(t *testing.T, name string) {
		s := serve(t, busyPage(t))
		if code, _ := get(t, s, "/peer?name="+url.QueryEscape(name)); code != 200 {
			t.Errorf("%q: %d", name, code)
		}
	})
}

func TestRecent(t *testing.T) {
	var r status.Recent
	r.Take(event(tlsstate.Verdict{Outcome: tlsstate.Steady}, tlsstate.TLS13, "192.0.2.1"))
	for i := range 250 {
		v := tlsstate.Verdict{Outcome: tlsstate.Downgraded, Kind: tlsstate.Stripped, Pin: tlsstate.TLS12, Identity: domain("b\x1bd.example"), Days: i}
		if i == 249 {
			v.Kind, v.Action = tlsstate.Unauthenticated, tlsstate.Reject
		}
		e := event(v, tlsstate.Plaintext, "192.0.2.1")
		e.Session.Peer.Host = "h\u202e.example"
		r.Take(e)
	}
	all := r.On(today())
	if len(all) != 200 || len(r.On(today()-1)) != 0 {
		t.Fatalf("%d today, %d yesterday", len(all), len(r.On(today()-1)))
	}
	newest, before := all[0], all[1]
	if newest.Pin != "certificate" || newest.Action != tlsstate.Header {
		t.Errorf("%+v", newest) // it went to somebody exempt
	}
	if before.Identity.Name != "b?d.example" || before.Client != "h???.example[192.0.2.1]" || before.Pin != "TLSv1.2" || before.Seen != "none" || !before.Done {
		t.Errorf("%+v", before)
	}
}

// TestExemptIsNotCounted: the page counts the messages that report counts.
func TestExemptIsNotCounted(t *testing.T) {
	p := busyPage(t)
	p.Tally = func(day tlsstate.Day) incident.Tally {
		d := incident.DayCounts{Day: day}
		d.Counts[tlsstate.Plaintext][tlsstate.Exempt] = 70
		d.Counts[tlsstate.Plaintext][tlsstate.New] = 1
		d.Counts[tlsstate.TLS13][tlsstate.Steady] = 3
		return incident.Tally{d}
	}
	_, body := get(t, serve(t, p), "/")
	contains(t, body, "3 of 4 messages", "of 4 messages came encrypted. None was counted before "+today().String())
}

// TestSentencesAreTrue: what the page states holds for a host where all is over, where
// more came than is listed, and where the configuration and not a pin decides.
func TestSentencesAreTrue(t *testing.T) {
	p := busyPage(t)
	p.Downgrades = func(tlsstate.Day) []status.DowngradeEvent { return busyDowngrades(make([]string, 200)) }
	p.Tally = func(day tlsstate.Day) incident.Tally { return busyTally(day)[3:] }
	_, body := get(t, serve(t, p), "/")
	contains(t, body, "<code>tlsratchet incidents</code> lists those that closed.", "None was counted before "+(today()-60).String()+" in these 64 days.",
		"Only the newest 25 are listed.", "Counted at 12:34:56, in the memory of this host.",
		"1\u202f234 destinations are pinned in the memory of this host;")
	for _, wrong := range []string{"No downgrades", "first day of this daemon", "And 175 more"} {
		if strings.Contains(body, wrong) {
			t.Errorf("the page says %q", wrong)
		}
	}
	p.Open = func() []incident.Incident {
		all := busyIncidents([]string{"required.example"})
		all[0].Evidence.Required = true
		return all
	}
	if _, body = get(t, serve(t, p), "/incidents"); strings.Contains(body, "peer unpin") {
		t.Error("what the configuration requires can't be unpinned")
	}
	if _, body = get(t, serve(t, busyPage(t, "bank.example", "partner.example")), "/incidents"); strings.Contains(body, "TLS off") {
		t.Error("a peer without its certificate is shown as one that turned TLS off")
	}
	p.Open = func() []incident.Incident {
		all := busyIncidents([]string{"sent.example"})
		all[0].Identity.Kind = tlsstate.Destination
		return all
	}
	if _, body = get(t, serve(t, p), "/"); !strings.Contains(body, ">answered without TLS<") {
		t.Error("a destination does not come")
	}
	p.Load = func(tlsstate.Identity) (h tlsstate.History, err error) {
		h = faithful(t)
		h.Networks, h.Addresses = 1, 3
		return h, nil
	}
	_, body = get(t, serve(t, p), "/peer?name=bank.example")
	contains(t, body, "About 2 addresses in 1 network under it were seen with TLS.")
}

// TestPercent: a share is never rounded up, and has a decimal where it is not whole.
func TestPercent(t *testing.T) {
	for want, n := range map[string][2]uint64{"100 %": {7, 0}, "0 %": {0, 7}, "75 %": {3, 1}, "33.3 %": {1, 2}, "99.9 %": {999_999, 1}, "0.0 %": {1, 999_999}, "90.0 %": {90_001, 9_999}, "12.5 %": {1, 7}} {
		p := emptyPage(t)
		p.Tally = func(day tlsstate.Day) incident.Tally {
			d := incident.DayCounts{Day: day}
			d.Counts[tlsstate.TLS13][tlsstate.Steady], d.Counts[tlsstate.Plaintext][tlsstate.New] = n[0], n[1]
			return incident.Tally{d}
		}
		_, body := get(t, serve(t, p), "/")
		contains(t, body, `<p class="big">`+strings.Replace(want, " ", "\u202f", 1)+"</p>")
	}
}

// TestHostNames: an address in the table of incidents has its host's name.
func TestHostNames(t *testing.T) {
	p := busyPage(t, "bank.example")
	p.Open = func() []incident.Incident {
		i := busyIncidents([]string{"bank.example"})[0]
		i.Identity = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}
		i.Clients = []incident.Client{{Address: "192.0.2.10", Host: "mx1.bank.example"}}
		return []incident.Incident{i}
	}
	_, body := get(t, serve(t, p), "/")
	contains(t, body, `192.0.2.10</a> <span class="quiet">address</span><br><span class="quiet">mx1.bank.example</span>`)
}

// TestPageAgreesWithItself: a pin that today's session in clear would release
// does not simply "hold" beside "no downgrade".
func TestPageAgreesWithItself(t *testing.T) {
	p := busyPage(t)
	h := below(trained(10), -2, -1)
	p.Load = func(tlsstate.Identity) (tlsstate.History, error) { return h, nil }
	p.Explain = explain(p.Load, rules(t))
	_, body := get(t, serve(t, p), "/peer?name=bank.example")
	contains(t, body, "<p>A session in clear now would be no downgrade: the verdict would be learning.</p>", "holds, but not against a session below it today", `class="mark fair"`)
}

// below adds days in clear, counted from today, to a history.
func below(h tlsstate.History, days ...int) tlsstate.History {
	rule := tlsstate.DefaultPolicy()
	for _, d := range days {
		_, h = tlsstate.Judge(h, tlsstate.Observation{Day: today() + tlsstate.Day(d)}, &rule)
	}
	return h
}
