package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlsratchet/test/nsd"
	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
)

// records are what the senders' domains say by SPF.
var records = map[string]string{
	"bank.example":  "v=spf1 ip4:192.0.2.0/24 include:_spf.provider.example -all",
	"wide.example":  "v=spf1 +all",
	"apart.example": "v=spf1 ip4:192.0.0.0/8 -all",
	"_spf.provider": "v=spf1 ip4:198.51.100.0/24 -all",
	"none.example":  "",
}

func zone() string {
	var b strings.Builder
	b.WriteString("$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n")
	for name, text := range records {
		if text != "" {
			fmt.Fprintf(&b, "%s TXT %q\n", strings.TrimSuffix(name, ".example"), text)
		}
	}
	return b.String()
}

// nameless is a client whose name DNS doesn't confirm: it has no domain.
func (w world) nameless(addr string) posttest.Peer {
	p := w.bank(addr, nil)
	p.XCLIENT[0] = "NAME=[UNAVAILABLE]"
	return p
}

func (w world) overTLS(p posttest.Peer) posttest.Peer {
	p.TLS = w.tls13()
	return p
}

func mailFrom(domain, subject string) posttest.Mail {
	m := mail(subject)
	m.From = "alice@" + domain
	return m
}

// TestSenders has senders proven by a real DNS server.
func TestSenders(t *testing.T) {
	in := newPostfix(t, posttest.Options{})
	resolver := nsd.Start(t, map[string]string{"example": zone(), "broken": ""})
	// The strictest action: what comes of it shows the senders' cap.
	config := fmt.Sprintf("header = \"all\"\n[policy]\npin_after_days = 1\nstripped = \"reject\"\n[dns]\nresolver = %q\n", resolver)
	for name, run := range map[string]func(world, string){
		"moved within its network": senderMoved, "names everybody": senderWide, "names another": senderStranger,
	} {
		t.Run(name, func(t *testing.T) { run(world{T: t, Instance: in}, config) })
	}
}

// A sender that always encrypted comes in clear from an address that we never
// saw: a header at most.
func senderMoved(w world, config string) {
	d := serve(w.T, w.MilterSocket(), "", config)
	w.has(w.delivered(w.overTLS(w.nameless("192.0.2.41")), mailFrom("bank.example", "sender proven")), "new; identity=address:192.0.2.41")
	d.pinned("sender:bank.example/192.0.2.0/24")
	today := tlsstate.DayOf(time.Now()).String()
	w.has(w.delivered(w.nameless("192.0.2.42"), mailFrom("BANK.example.", "sender stripped")),
		"downgrade; kind=stripped; identity=sender:bank.example/192.0.2.0/24; pin=TLSv1.2; seen=none; since="+today)
	line := d.wait("msg=downgrade")
	for _, want := range []string{"action=header", "identity=sender:bank.example/192.0.2.0/24", "client=unknown[192.0.2.42]"} {
		w.has(line, want)
	}
	if got := w.delivered(w.nameless("192.0.2.43"), mailFrom("none.example", "another sender")); strings.Contains(got, "downgrade") {
		w.Errorf("a neighbour with another sender: %s", got)
	}
	// Over TLS again, from there too.
	if got := w.delivered(w.overTLS(w.nameless("192.0.2.42")), mailFrom("bank.example", "sender back")); strings.Contains(got, "downgrade") {
		w.Errorf("over TLS: %s", got)
	}
	if n := len(d.downgrades()); n != 1 {
		w.Errorf("%d downgrades, want 1", n)
	}
}

// A record that passes everybody proves nobody.
func senderWide(w world, config string) {
	d := serve(w.T, w.MilterSocket(), "", config)
	for i, domain := range []string{"wide.example", "apart.example", "none.example", "dark.broken"} {
		w.delivered(w.overTLS(w.nameless(fmt.Sprintf("192.0.2.%d", 50+i))), mailFrom(domain, "from "+domain))
	}
	w.delivered(w.overTLS(w.nameless("192.0.2.59")), mailFrom("bank.example", "after those"))
	d.pinned("sender:bank.example/192.0.2.0/24") // which was asked for last
	for i, domain := range []string{"wide.example", "apart.example", "none.example", "dark.broken"} {
		w.has(w.delivered(w.nameless(fmt.Sprintf("192.0.2.%d", 60+i)), mailFrom(domain, "in clear from "+domain)), "new; identity=address:192.0.2.6")
	}
	if all := d.peers("--kind", "sender"); strings.Count(all, "sender:") != 1 {
		w.Errorf("remembered: %s", all)
	}
}

// What a record names is remembered by network: who claims the domain from
// elsewhere is nobody that we know.
func senderStranger(w world, config string) {
	d := serve(w.T, w.MilterSocket(), "", config)
	w.delivered(w.overTLS(w.nameless("198.51.100.7")), mailFrom("bank.example", "by the provider"))
	d.pinned("sender:bank.example/198.51.100.0/24")
	w.has(w.delivered(w.nameless("203.0.113.7"), mailFrom("bank.example", "by a stranger")), "new; identity=address:203.0.113.7")
	w.has(w.delivered(w.nameless("192.0.2.71"), mailFrom("bank.example", "by itself")), "new; identity=address:192.0.2.71")
	w.has(w.delivered(w.nameless("198.51.100.8"), mailFrom("bank.example", "by the provider in clear")), "kind=stripped; identity=sender:bank.example/198.51.100.0/24")
	// Postfix drops the comment, and so do we: the domain is none of its own.
	w.has(w.delivered(w.nameless("198.51.100.9"), mailFrom("bank.example(x)", "with a comment")), "kind=stripped; identity=sender:bank.example/198.51.100.0/24")
	// It reads what is quoted in the domain, too.
	w.has(w.delivered(w.nameless("198.51.100.10"), mailFrom(`"bank".exam\ple`, "with quotes")), "kind=stripped; identity=sender:bank.example/198.51.100.0/24")
}

// With a resolver that never answers a claim is not proven, and the claimant
// waits no longer than it may; nobody else waits at all. Postfix gives us 5 s
// (command_timeout) and then goes on without our header: where it is, nobody waited
// longer.
func TestSendersDeadResolver(t *testing.T) {
	w := world{T: t, Instance: newPostfix(t, posttest.Options{})}
	addr, asked := deadResolver(t)
	history := taught(t, tlsstate.TLS13, 5, "address:192.0.2.81", "sender:bank.example/192.0.2.0/24", listener(w.Addr(0)))
	d := serve(t, w.MilterSocket(), history, fmt.Sprintf("header = \"all\"\n[dns]\nresolver = %q\n", addr))
	w.has(w.delivered(w.nameless("192.0.2.82"), mailFrom("bank.example", "claimant")), "new; identity=address:192.0.2.82")
	if asked.Load() == 0 {
		t.Error("the resolver was not asked: the claimant didn't wait for anything")
	}
	for i := range 3 {
		steady := mailFrom("bank.example", fmt.Sprint("steady peer ", i))
		w.has(w.delivered(w.overTLS(w.nameless("192.0.2.81")), steady), "steady; identity=address:192.0.2.81")
	}
	// A sender that has no pin never waits.
	w.has(w.delivered(w.nameless("192.0.2.83"), mailFrom("other.example", "stranger")), "new; identity=address:192.0.2.83")
	if lines := d.downgrades(); len(lines) > 0 {
		t.Errorf("not proven, and logged: %q", lines)
	}
}

// deadResolver is a port that takes questions and never answers; it counts them.
func deadResolver(t *testing.T) (addr string, asked *atomic.Int64) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	asked = new(atomic.Int64)
	go func() {
		for buf := make([]byte, 1500); ; asked.Add(1) {
			if _, _, err := c.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	return c.LocalAddr().String(), asked
}

// peers lists what the daemon remembers, as an operator does.
func (d *daemon) peers(flags ...string) string {
	d.t.Helper()
	out, err := exec.Command(binary, append([]string{"peers", "--history", d.history}, flags...)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("peers: %v\n%s", err, out)
	}
	return string(out)
}

// pinned waits until a sender is held to its pin: it is learned after the
// message had its answer.
func (d *daemon) pinned(id string) {
	d.t.Helper()
	eventually(d.t, id+" is pinned", func() bool { return strings.Contains(d.peers("--kind", "sender", "--pinned"), id+" ") })
}
