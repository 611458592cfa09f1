package status

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// hosts are the names that a request may call us by. A page elsewhere can point
// a name of its own at our address (DNS rebinding) and read what we answer; but
// it can't keep the browser from telling that name.
type hosts struct {
	// names are in lower case.
	names []string
	// anyAddress says that we listen on all addresses: any may be used, for an
	// address is no name that could be pointed at us.
	anyAddress bool
}

func newHosts(address string, names []string) (hosts, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return hosts{}, fmt.Errorf("address of the status page: %w", err)
	}
	h := hosts{names: []string{"localhost", strings.ToLower(host)}}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		h.anyAddress = true
	}
	for _, n := range names {
		h.names = append(h.names, strings.ToLower(n))
	}
	return h, nil
}

// allows reports whether a Host header names us, on whatever port: it may be
// forwarded.
func (h hosts) allows(header string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host != "" && slices.Contains(h.names, host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return h.anyAddress && err == nil
}

// headers are in every answer. The policy lets nothing in but our own style and
// icon, and sends forms nowhere else.
var headers = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Cache-Control":                "no-store",
}

// guard lets only requests through that read, and that call us by our name.
func (h hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		switch {
		case !h.allows(r.Host):
			http.Error(w, "tlsratchet's status page has another host name: see names in [status] of its configuration", http.StatusMisdirectedRequest)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page is read-only", http.StatusMethodNotAllowed)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
