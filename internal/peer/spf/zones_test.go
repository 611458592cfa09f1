package spf

import (
	"testing"

	"go.uber.org/goleak"

	"tlsratchet/internal/peer/spf/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The two clients of the zones.
const (
	four = "192.0.2.10"
	six  = "2001:db8:1::10"
)

// TestZones proves claims with a real DNS server; what the records are is in
// testdata/example.zone.
func TestZones(t *testing.T) {
	r := resolver.New(resolver.DefaultOptions(), resolver.Network(startNSD(t)))
	defer r.Close()
	o := DefaultOptions()
	o.NetworkBurst, o.UnknownBurst = 100_000, 100_000
	p := New(r, o, quiet)
	defer p.Close()

	for _, tc := range []struct {
		want    Result
		addr    string
		domains []string
	}{
		{Proven, four, []string{
			"bank", "upper", "range24", "range16", "a", "a16", "mx", "mx16", "include", "chain", "redirect", "alias",
			"exists", "reverse", "hosted", "perlocal", "split", "many", "narrowfirst", "nearptr", "bücher",
			"xn--bcher-kva", "BÜCHER", "mail.bank", "ten", "twovoids", "afterbroken",
			"uname", "beside.large@"}},
		{Proven, six, []string{
			"bank", "six32", "a", "a16", "mx", "mx16", "include", "redirect", "alias", "nearptr"}},
		{Wide, four, []string{
			"all", "bareall", "ptr", "ptrout", "range0", "halves", "range8", "range15", "side", "mapped", "a8", "a15", "a0",
			"mx8", "inclall", "inclwide", "inclptr", "redirall", "redirwide", "thenall", "existsall", "existswild",
			"existslocal", "existspart", "inclmacro"}},
		{Wide, six, []string{"all", "six0", "six31", "six3", "a8", "a15", "a0", "mx8", "mxsix", "inclall", "redirall", "existsall"}},
		{NotPassed, four, []string{
			"nospf", "notxt", "fail", "soft", "neutral", "neutralip", "failip", "empty", "twice", "junk", "unknown", "loop",
			"loop1", "redirloop", "eleven", "voids", "deadend", "inclnone", "nullmx", "elevenmx", "nowhere", "six0", "six32",
			"perhelo", "existshelo"}}, // no HELO name is asked for: what looks at it proves nothing
		{NotPassed, six, []string{"range0", "range16", "exists", "nospf", "upper", "halves", "mapped"}},
		{NotPassed, "198.51.100.99", []string{"bank", "range24", "range16", "a", "mx", "include", "chain", "exists", "hosted"}},
		{NotPassed, "192.0.3.1", []string{"bank", "range24", "a", "mx", "ten"}},
		{NoAnswer, four, []string{"brokeninc", "bank.broken@", "inside.large@", "elsewhere.invalid@"}},
		{Limited, four, []string{"greedy"}},
	} {
		for _, d := range tc.domains {
			t.Run(tc.want.String()+"/"+tc.addr+"/"+d, func(t *testing.T) {
				if got := p.Prove(t.Context(), claim(t, tc.addr, d)); got != tc.want {
					t.Errorf("%v, want %v", got, tc.want)
				}
			})
		}
	}
	t.Logf("%+v; resolver %+v", p.Stats(), r.Stats())
}
