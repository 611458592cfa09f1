package status_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tlsratchet/internal/status"
)

// hostile are names that a peer may choose. None is longer than DNS allows.
var hostile = []string{
	"<script>alert(1)</script>.example",
	`"onmouseover="alert(1).example`,
	"'+alert(1)+'&lt;b&gt;.example",
	"\u202egnp.elpmaxe\u200f.example",
	"{{.}}javascript:alert(1).example",
	"\x1b[2J\r\nx.example",
	strings.Repeat("a23456789b23456789c23456789d23456789e23456789f23456789.", 5)[:245] + ".example",
}

// listen serves a page on a free port until the test ends, and returns its URL.
func listen(t *testing.T, p status.Page) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, p)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// views are all there are, and how each is looked at: always in light colours on
// a wide window, and where its form differs, dark and narrow.
var views = []struct{ name, page, path, looks string }{
	{"overview", "busy", "/", "light dark narrow"},
	{"overview-trouble", "trouble", "/", "light dark narrow"},
	{"overview-quiet", "empty", "/", "light"},
	{"incidents", "busy", "/incidents", "light dark"},
	{"incidents-none", "empty", "/incidents", "light"},
	{"peer", "busy", "/peer?name=bank.example", "light dark narrow"},
	{"peer-search", "busy", "/peer", "light dark"},
	{"peer-unknown", "busy", "/peer?name=stranger.example", "light"},
	{"peer-wrong", "busy", "/peer?name=no+name%1b", "light narrow"},
	{"overview-hostile", "hostile", "/", "light narrow"},
	{"incidents-hostile", "hostile", "/incidents", "light narrow"},
}

// look is a window.
type look struct {
	width, height int64
	scheme        string
}

var looks = map[string]look{"light": {1200, 800, "light"}, "dark": {1200, 800, "dark"}, "narrow": {390, 844, "light"}}

// TestBrowser opens every view, light and dark, wide and narrow: nothing is
// asked for elsewhere, nothing complains, nothing sticks out, and axe-core finds
// nothing.
func TestBrowser(t *testing.T) {
	script, err := axe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tb := startBrowser(t)
	bases := map[string]string{
		"busy":    listen(t, busyPage(t, "bank.example", "partner.example", "post.gov.example")),
		"empty":   listen(t, emptyPage(t)),
		"hostile": listen(t, busyPage(t, hostile...)),
		"trouble": listen(t, troublePage(t)),
	}
	for _, v := range views {
		for kind := range strings.FieldsSeq(v.looks) {
			name, look := v.name+"-"+kind, looks[kind]
			tb.look(look)
			tb.open(bases[v.page] + v.path)
			tb.shoot(name)
			if w := eval[int64](tb, "document.documentElement.scrollWidth"); w > look.width {
				t.Errorf("%s: %d pixels wide, the window %d", name, w, look.width)
			}
			if n := eval[int](tb, hidden); n > 0 && kind != "narrow" {
				t.Errorf("%s: %d tables are wider than a wide window", name, n)
			}
			if n := eval[int](tb, broken); n > 0 {
				t.Errorf("%s: %d addresses are broken over two lines", name, n)
			}
			for _, violation := range eval[[]string](tb, script+axeRun) {
				t.Errorf("%s: %s", name, violation)
			}
		}
	}
	tb.complained()
	if len(tb.requests) < len(views) {
		t.Errorf("only %d requests were seen", len(tb.requests))
	}
	for _, url := range tb.requests {
		if !slices.ContainsFunc(slices.Collect(maps.Values(bases)), func(base string) bool { return strings.HasPrefix(url, base+"/") }) {
			t.Errorf("asked for %s", url)
		}
	}
}

// hidden counts what must be scrolled to be seen whole.
const hidden = `Array.from(document.querySelectorAll(".scroll")).filter(e => e.scrollWidth > e.clientWidth).length`

// broken counts the addresses of clients that stand on more than one line.
const broken = `Array.from(document.querySelectorAll("wbr")).filter(w => {
	const r = document.createRange(); r.selectNodeContents(w.nextSibling); return r.getClientRects().length > 1;
}).length`

const axeRun = `;axe.run({resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)))`

// TestHostileNamesStayText: whatever a peer calls itself, the page has the same
// elements and attributes as with harmless names, and shows only clean text.
func TestHostileNamesStayText(t *testing.T) {
	tb := startBrowser(t)
	harmless := make([]string, len(hostile))
	for i := range harmless {
		harmless[i] = fmt.Sprintf("h%d.example", i)
	}
	bad, good := listen(t, busyPage(t, hostile...)), listen(t, busyPage(t, harmless...))
	const shape = `Array.from(document.querySelectorAll("main *")).filter(e => !e.closest(".next")).map(e => e.tagName + "[" + Array.from(e.attributes).map(a => a.name).sort().join() + "]").join("\n")`
	for _, path := range []string{"/", "/incidents"} {
		tb.open(good + path)
		want := eval[string](tb, shape)
		tb.open(bad + path)
		if got := eval[string](tb, shape); got != want {
			t.Errorf("%s: the elements changed", path)
		}
		text := eval[string](tb, "document.body.textContent")
		if !strings.Contains(text, hostile[0]) || !strings.Contains(text, hostile[6]) {
			t.Errorf("%s: the names are not shown as they are", path)
		}
		if strings.ContainsAny(text, "\u202e\u200f\x1b\r") {
			t.Errorf("%s: text that is not clean", path)
		}
	}
	tb.complained()
}

// TestKeyboard: tabbing through the page begins with the way past its head and
// reaches every link and field; a search is sent by Enter, with no script.
func TestKeyboard(t *testing.T) {
	tb := startBrowser(t)
	call(tb, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	base := listen(t, busyPage(t, "bank.example"))
	tb.open(base + "/")
	focused := func() string {
		return eval[string](tb, `document.activeElement.textContent.trim() || document.activeElement.name || document.activeElement.tagName`)
	}
	for _, want := range []string{"Skip to the content", "tlsratchet", "Overview", "Incidents", "Peers", "name", "Look up"} {
		tb.do(chromedp.KeyEvent(kb.Tab))
		if got := focused(); got != want {
			t.Fatalf("the focus is on %q, want %q", got, want)
		}
	}
	eval[chromedp.Void](tb, `document.getElementById("name").focus()`)
	call(tb, input.InsertText, input.InsertTextParams{Text: "bank.example"})
	if _, err := chromedp.RunResponse(tb.ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	if where := eval[string](tb, "location.href"); !strings.Contains(where, "/peer?name=bank.example") {
		t.Errorf("the search led to %s", where)
	}
}
