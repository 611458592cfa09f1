package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// The demo must work where the machine's own mail server is on port 25, and show
// what it promises.
func TestDemo(t *testing.T) {
	const busy = `ip link set lo up; "$0" serve --listen inet:0.0.0.0:25 --history memory & server=$!
		go run tlsratchet/test/e2e/demo -tlsratchet "$0"; code=$?; kill $server; exit $code`
	cmd := exec.CommandContext(limit(t), "unshare", "--net", "sh", "-c", busy, binary)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for _, want := range []string{
		"1. The bank sends a message.", "ESMTPS", "all is well",
		"2. Now an attacker on the wire removes", "with ESMTP id", "downgrade; kind=stripped; identity=address:127.0.0.2", "msg=downgrade",
		"3. The same with the action tempfail", "451 4.7.1 127.0.0.2: TLS required",
		"4. The attacker is gone.", "ESMTPS",
		"5. The other direction: we send", "carol@bank.example arrived over TLS 1.3",
		"6. The attacker removes 250-STARTTLS", "dsn=4.7.4,", "status=deferred", "mail held",
		"7. The attacker is gone.", "dave@bank.example arrived over TLS 1.3", "Everything is stopped and removed.",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("no %q in its place:\n%s", want, out)
		}
		rest = after
	}
}
