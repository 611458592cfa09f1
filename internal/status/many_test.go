package status_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/status"
	"tlsratchet/tlsstate"
)

// TestThousandsOfIncidents: the page stays one that a telephone can show, and says how many
// there are.
func TestThousandsOfIncidents(t *testing.T) {
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("bank%d.example", i))
	}
	p := busyPage(t)
	p.Open = func() []incident.Incident {
		all := busyIncidents(names)
		old := &all[len(all)-1] // opened first
		old.Identity, old.KnownPlaintext, old.Kind = tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.234"}, false, tlsstate.Stripped
		old.Evidence.Since, old.Evidence.Last = 10000, 20700
		return all
	}
	s := serve(t, p)
	for _, path := range []string{"/", "/incidents"} {
		_, body := get(t, s, path)
		if len(body) > 600_000 {
			t.Errorf("%s has %d bytes", path, len(body))
		}
		contains(t, body, "192.0.2.234") // not hidden by those that came after it
	}
	_, body := get(t, s, "/incidents")
	contains(t, body, "And 9\u202f900 more: <code>tlsratchet incidents --open --limit 0</code> lists them.")
}

// TestLinks: every link leads to a page that knows what it is about.
func TestLinks(t *testing.T) {
	p := busyPage(t)
	p.Resolve = admin.Resolve
	p.Downgrades = func(tlsstate.Day) (all []status.DowngradeEvent) {
		for _, name := range []string{"address:192.0.2.10", "address:2001:db8::5", "domain:xn--bcher-kva.example", "sender:bank.example/192.0.2.0/24", "sender:bank.example/bank.example"} {
			id, err := tlsstate.ParseIdentity(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, status.DowngradeEvent{At: noon, Identity: id, Client: "mx1.bank.example[2001:db8::5]", Pin: "TLSv1.2", Seen: "none"})
		}
		return all
	}
	s := serve(t, p)
	seen, next := map[string]bool{}, []string{"/"}
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		code, body := get(t, s, path)
		if code != 200 || strings.Contains(body, `role="status"`) {
			t.Errorf("%s: %d\n%s", path, code, body)
		}
		for _, link := range links(body) {
			if !seen[link] {
				seen[link] = true
				next = append(next, link)
			}
		}
	}
	for _, want := range []string{"/peer?name=address%3a2001%3adb8%3a%3a5", "/peer?name=sender%3abank.example%2f192.0.2.0%2f24", "/incidents", "/metrics", "/peer", "/style.css", "/icon.svg"} {
		if !seen[want] {
			t.Errorf("no link %s in %v", want, seen)
		}
	}
}

// links are the paths that a page leads to, and the pieces that it is made of.
func links(body string) (all []string) {
	for z := html.NewTokenizer(strings.NewReader(body)); z.Next() != html.ErrorToken; {
		for _, a := range z.Token().Attr {
			if u, err := url.Parse(a.Val); (a.Key == "href" || a.Key == "src" || a.Key == "action") && err == nil && u.Path != "" {
				all = append(all, a.Val)
			}
		}
	}
	return all
}
