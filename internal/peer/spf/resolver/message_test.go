package resolver

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/dns/dnsmessage"
)

// reply makes the message that answers a question.
type reply struct {
	id        uint16
	rcode     dnsmessage.RCode
	truncated bool
	query     bool
	asked     string
	answers   []dnsmessage.Resource
	authority []dnsmessage.Resource
}

func record(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   body,
	}
}

func txt(ttl uint32, parts ...string) dnsmessage.Resource {
	return record("bank.example.", ttl, &dnsmessage.TXTResource{TXT: parts})
}

func (r reply) pack(t testing.TB, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: r.id, Response: !r.query, RCode: r.rcode, Truncated: r.truncated},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(r.asked), Type: kind, Class: dnsmessage.ClassINET,
		}},
		Answers: r.answers, Authorities: r.authority,
	}
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func soa(ttl, least uint32) dnsmessage.Resource {
	host := dnsmessage.MustNewName("ns.example.")
	return record("example.", ttl, &dnsmessage.SOAResource{NS: host, MBox: host, MinTTL: least})
}

func TestParse(t *testing.T) {
	const asked = "bank.example."
	mx := func(host string) dnsmessage.Resource {
		return record(asked, 60, &dnsmessage.MXResource{MX: dnsmessage.MustNewName(host)})
	}
	alias := record(asked, 30, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("real.example.")})
	for name, tc := range map[string]struct {
		kind dnsmessage.Type
		reply
		want Answer
		ttl  time.Duration
		err  error
	}{
		"text": {TypeTXT, reply{answers: []dnsmessage.Resource{txt(300, "v=spf1 ", "-all")}},
			Answer{Texts: []string{"v=spf1 -all"}}, 300 * time.Second, nil},
		"case of the question": {TypeTXT, reply{asked: "BaNk.example.", answers: []dnsmessage.Resource{txt(300, "V=SPF1")}},
			Answer{Texts: []string{"V=SPF1"}}, 300 * time.Second, nil},
		"least TTL of several": {TypeTXT, reply{answers: []dnsmessage.Resource{txt(300, "v=spf1"), txt(20, "else")}},
			Answer{Texts: []string{"v=spf1"}}, 20 * time.Second, nil},
		"no SPF among the texts": {TypeTXT, reply{answers: []dnsmessage.Resource{txt(300, "v=spf10 +all"), txt(300, "v=spf"), txt(300)}},
			Answer{}, 300 * time.Second, nil},
		"TTL 0":            {TypeTXT, reply{answers: []dnsmessage.Resource{txt(0, "v=spf1")}}, Answer{Texts: []string{"v=spf1"}}, 0, nil},
		"negative TTL":     {TypeTXT, reply{answers: []dnsmessage.Resource{txt(1<<31, "v=spf1")}}, Answer{Texts: []string{"v=spf1"}}, 0, nil},
		"a year is a day":  {TypeTXT, reply{answers: []dnsmessage.Resource{txt(365*86400, "v=spf1")}}, Answer{Texts: []string{"v=spf1"}}, maxTTL, nil},
		"too long":         {TypeTXT, reply{answers: []dnsmessage.Resource{longText()}}, Answer{}, failureTTL, ErrFailed},
		"alias after it":   {TypeA, reply{answers: []dnsmessage.Resource{record("real.example.", 60, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}), alias}}, Answer{Addrs: addrs("192.0.2.1")}, 30 * time.Second, nil},
		"alias of nothing": {TypeA, reply{answers: []dnsmessage.Resource{alias}, authority: []dnsmessage.Resource{soa(90, 40)}}, Answer{}, 40 * time.Second, ErrNotFound},
		"IPv6":             {TypeAAAA, reply{answers: []dnsmessage.Resource{record(asked, 60, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()})}}, Answer{Addrs: addrs("2001:db8::1")}, time.Minute, nil},
		"MX":               {TypeMX, reply{answers: []dnsmessage.Resource{mx("b.example."), mx("a.example."), mx(".")}}, Answer{Names: []string{"b.example", "a.example", ""}}, time.Minute, nil},
		"PTR":              {TypePTR, reply{answers: []dnsmessage.Resource{record(asked, 60, &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("a.example.")})}}, Answer{Names: []string{"a.example"}}, time.Minute, nil},
		"no such name":     {TypeTXT, reply{rcode: dnsmessage.RCodeNameError, authority: []dnsmessage.Resource{soa(30, 3000)}}, Answer{}, 30 * time.Second, ErrNotFound},
		"negative for long": {TypeTXT, reply{rcode: dnsmessage.RCodeNameError, authority: []dnsmessage.Resource{soa(1<<20, 1<<20)}},
			Answer{}, maxNegative, ErrNotFound},
		"nothing, no SOA": {TypeTXT, reply{}, Answer{}, failureTTL, ErrNotFound},
		"SERVFAIL":        {TypeTXT, reply{rcode: dnsmessage.RCodeServerFailure}, Answer{}, failureTTL, ErrFailed},
		"REFUSED":         {TypeTXT, reply{rcode: dnsmessage.RCodeRefused}, Answer{}, failureTTL, ErrFailed},
		"truncated":       {TypeTXT, reply{truncated: true}, Answer{}, 0, errTruncated},
		"other id":        {TypeTXT, reply{id: 8}, Answer{}, 0, errForeign},
		"other name":      {TypeTXT, reply{asked: "bonk.example."}, Answer{}, 0, errForeign},
		"a question":      {TypeTXT, reply{query: true}, Answer{}, 0, errForeign},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.reply.asked == "" {
				tc.reply.asked = asked
			}
			if tc.reply.id == 0 {
				tc.reply.id = 7
			}
			got, ttl, err := parse(tc.reply.pack(t, tc.kind), Question{"bank.example", tc.kind}, 7)
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreUnexported(Answer{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if ttl != tc.ttl {
				t.Errorf("kept %v, want %v", ttl, tc.ttl)
			}
		})
	}
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

func longText() dnsmessage.Resource {
	parts := slices.Repeat([]string{strings.Repeat(" ", 255)}, 1+maxText/255)
	parts[0] = "v=spf1 " + parts[0][7:]
	return txt(300, parts...)
}

func TestAsk(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label}, ".") // 255
	for name, want := range map[string]string{
		"bank.example":            "bank.example",
		"Bank.Example.":           "bank.example",
		"_spf.bank.example":       "_spf.bank.example",
		"a+b!.example":            "a+b!.example",
		label + ".example":        label + ".example",
		long:                      strings.Join([]string{label, label, label}, "."),
		"x." + long[:251]:         "x." + long[:251],
		"xx.y." + long[:251]:      "y." + long[:251],
		"":                        "",
		".":                       "",
		"..":                      "",
		".bank.example":           "",
		"a..example":              "",
		"a b.example":             "",
		"bücher.example":          "",
		"\x7f.example":            "",
		"a\x00.example":           "",
		label + "a.example":       "",
		strings.Repeat("a", 5000): "",
	} {
		q, err := Ask(name, TypeA)
		if q.Name != want || errors.Is(err, ErrNotFound) != (want == "") {
			t.Errorf("Ask(%.80q) = %q, %v; want %q", name, q.Name, err, want)
		}
	}
}

func TestReverse(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.10":        "10.2.0.192.in-addr.arpa",
		"::ffff:192.0.2.10": "10.2.0.192.in-addr.arpa",
		"2001:db8::1f":      "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if q := Reverse(netip.MustParseAddr(ip)); q.Name != want || q.Type != TypePTR {
			t.Errorf("Reverse(%s) = %v, want %s", ip, q, want)
		}
	}
}

// FuzzParse: any message is an answer or an error, and what comes out is
// bounded by what came in.
func FuzzParse(f *testing.F) {
	f.Add(reply{id: 7, asked: "bank.example.", answers: []dnsmessage.Resource{txt(60, "v=spf1 -all")}}.pack(f, TypeTXT), uint16(TypeTXT))
	f.Add(reply{id: 7, asked: "bank.example.", rcode: dnsmessage.RCodeNameError, authority: []dnsmessage.Resource{soa(60, 60)}}.pack(f, TypeA), uint16(TypeA))
	f.Add(reply{id: 7, asked: "bank.example.", answers: []dnsmessage.Resource{
		record("bank.example.", 60, &dnsmessage.MXResource{MX: dnsmessage.MustNewName("mx.example.")})}}.pack(f, TypeMX), uint16(TypeMX))
	f.Fuzz(func(t *testing.T, msg []byte, kind uint16) {
		a, ttl, err := parse(msg, Question{"bank.example", dnsmessage.Type(kind)}, 7)
		if ttl < 0 || ttl > maxTTL {
			t.Fatalf("kept %v", ttl)
		}
		if err != nil && len(a.Addrs)+len(a.Names)+len(a.Texts) > 0 {
			t.Fatalf("an answer with the error %v", err)
		}
		// A name is at most 253 bytes, and 10 pointers in 12 bytes can make one.
		if a.size() > 40*len(msg) {
			t.Fatalf("%d bytes of %d", a.size(), len(msg))
		}
	})
}

// FuzzAsk: every name that may be asked can be packed and is kept as it is.
func FuzzAsk(f *testing.F) {
	for _, s := range []string{"bank.example", "A.b.", strings.Repeat("a.", 200), "a..b", "\x7f@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		q, err := Ask(name, TypeTXT)
		if err != nil {
			return
		}
		if again, err := Ask(q.Name, TypeTXT); err != nil || again != q {
			t.Fatalf("%q becomes %q, %v", q.Name, again.Name, err)
		}
		msg, err := pack(q, 1)
		if err != nil {
			t.Fatalf("%q: %v", q.Name, err)
		}
		var p dnsmessage.Parser
		if _, err := p.Start(msg); err != nil || !echoes(&p, q) {
			t.Fatalf("%q doesn't come back, %v", q.Name, err)
		}
	})
}
