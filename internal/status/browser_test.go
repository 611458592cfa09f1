package status_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// tab is one page of a browser, with what went wrong in it.
type tab struct {
	*browser
	session string
	// complaints are errors on its console, requests all that it asked for.
	complaints, requests []string
}

func (b *browser) tab() *tab {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	tb := &tab{browser: b, session: attached.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		tb.do(domain+".enable", nil, nil)
	}
	return tb
}

func (tb *tab) do(method string, params, result any) {
	tb.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	tb.call(tb.session, method, params, result)
}

// look sets the size of the window and the scheme of colours.
func (tb *tab) look(l look) {
	tb.t.Helper()
	tb.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.height, "deviceScaleFactor": 1, "mobile": false}, nil)
	tb.do("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": l.scheme}}}, nil)
}

// open opens a page and waits until it is loaded.
func (tb *tab) open(url string) {
	tb.t.Helper()
	var nav struct{ ErrorText string }
	tb.do("Page.navigate", map[string]any{"url": url}, &nav)
	if nav.ErrorText != "" {
		tb.t.Fatalf("%s: %s", url, nav.ErrorText)
	}
	deadline := time.After(time.Minute)
	for {
		select {
		case m := <-tb.events:
			if tb.note(m); m.Method == "Page.loadEventFired" {
				return
			}
		case <-deadline:
			tb.t.Fatalf("%s was not loaded", url)
		}
	}
}

// note keeps what a test wants to know of an event.
func (tb *tab) note(m message) {
	switch m.Method {
	case "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening":
		tb.complaints = append(tb.complaints, m.Method+": "+string(m.Params))
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &p)
		tb.requests = append(tb.requests, p.Request.URL)
	}
}

// drain notes what has come so far.
func (tb *tab) drain() {
	for len(tb.events) > 0 {
		tb.note(<-tb.events)
	}
}

// eval returns the value of an expression.
func eval[V any](tb *tab, expression string) (value V) {
	tb.t.Helper()
	var r struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails json.RawMessage
	}
	tb.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if r.ExceptionDetails != nil {
		tb.t.Fatalf("%.80s: %s", expression, r.ExceptionDetails)
	}
	if r.Result.Value != nil {
		if err := json.Unmarshal(r.Result.Value, &value); err != nil {
			tb.t.Fatalf("%.80s: %v", expression, err)
		}
	}
	return value
}

// shoot takes a picture of the whole page, kept with go test -artifacts.
func (tb *tab) shoot(name string) {
	tb.t.Helper()
	var shot struct{ Data string }
	tb.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(tb.t.ArtifactDir(), name+".png"), png, 0o644)
	}
	if err != nil {
		tb.t.Fatal(err)
	}
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
	width, height int
	scheme        string
}

var looks = map[string]look{"light": {1200, 800, "light"}, "dark": {1200, 800, "dark"}, "narrow": {360, 740, "light"}}

// TestBrowser opens every view, light and dark, wide and narrow: nothing is
// asked for elsewhere, nothing complains, nothing sticks out, and axe-core finds
// nothing.
func TestBrowser(t *testing.T) {
	script, err := axe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	bases := map[string]string{
		"busy":    listen(t, busyPage(t, "bank.example", "partner.example", "post.gov.example")),
		"empty":   listen(t, emptyPage(t)),
		"hostile": listen(t, busyPage(t, hostile...)),
		"trouble": listen(t, troublePage(t)),
	}
	tb := b.tab()
	for _, v := range views {
		for kind := range strings.FieldsSeq(v.looks) {
			name, look := v.name+"-"+kind, looks[kind]
			tb.look(look)
			tb.open(bases[v.page] + v.path)
			tb.shoot(name)
			if w := eval[int](tb, "document.documentElement.scrollWidth"); w > look.width {
				t.Errorf("%s: %d pixels wide, the window %d", name, w, look.width)
			}
			if n := eval[int](tb, hidden); n > 0 && kind != "narrow" {
				t.Errorf("%s: %d tables are wider than a wide window", name, n)
			}
			for _, violation := range eval[[]string](tb, script+axeRun) {
				t.Errorf("%s: %s", name, violation)
			}
		}
	}
	tb.drain()
	for _, c := range tb.complaints {
		t.Error(c)
	}
	for _, url := range tb.requests {
		if !slices.ContainsFunc(slices.Collect(maps.Values(bases)), func(base string) bool { return strings.HasPrefix(url, base+"/") }) {
			t.Errorf("asked for %s", url)
		}
	}
}

// hidden counts what must be scrolled to be seen whole.
const hidden = `Array.from(document.querySelectorAll(".scroll")).filter(e => e.scrollWidth > e.clientWidth).length`

const axeRun = `;axe.run({resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)))`

// TestHostileNamesStayText: whatever a peer calls itself, the page has the same
// elements and attributes as with harmless names, and shows only clean text.
func TestHostileNamesStayText(t *testing.T) {
	b := startBrowser(t)
	tb := b.tab()
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
	tb.drain()
	for _, c := range tb.complaints {
		t.Error(c)
	}
}

// TestKeyboard: tabbing through the page begins with the way past its head and
// reaches every link and field; a search is sent by Enter, with no script.
func TestKeyboard(t *testing.T) {
	b := startBrowser(t)
	tb := b.tab()
	tb.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	base := listen(t, busyPage(t, "bank.example"))
	tb.open(base + "/")
	focused := func() string {
		return eval[string](tb, `document.activeElement.textContent.trim() || document.activeElement.name || document.activeElement.tagName`)
	}
	for _, want := range []string{"Skip to the content", "tlsratchet", "Overview", "Incidents", "Peers", "name", "Look up"} {
		tb.press("Tab", "")
		if got := focused(); got != want {
			t.Fatalf("the focus is on %q, want %q", got, want)
		}
	}
	eval[any](tb, `document.getElementById("name").focus()`)
	tb.do("Input.insertText", map[string]any{"text": "bank.example"}, nil)
	tb.press("Enter", "\r")
	deadline := time.After(time.Minute)
	for !strings.Contains(eval[string](tb, "location.href + document.title"), "/peer?name=bank.example") {
		select {
		case m := <-tb.events:
			tb.note(m)
		case <-deadline:
			t.Fatal("the search was not sent")
		}
	}
}

func (tb *tab) press(key, text string) {
	tb.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13}[key]
	for _, kind := range []string{"keyDown", "keyUp"} {
		tb.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}, nil)
	}
}
