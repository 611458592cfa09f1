package policyservice

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"
	"tlsratchet/internal/peer/spf"

	"tlsratchet/internal/inbound"
	"tlsratchet/internal/ratchet"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

// asking is a client that asks with each read, and a network without cost.
type asking struct {
	net.Conn
	ask func() string // "" for the end
}

func (a *asking) Read(p []byte) (int, error) {
	text := a.ask()
	if text == "" {
		return 0, io.EOF
	}
	return copy(p, text), nil
}

func (a *asking) Write(p []byte) (int, error)      { return len(p), nil }
func (a *asking) SetReadDeadline(time.Time) error  { return nil }
func (a *asking) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkMessage is what a message of a steady peer costs without the network:
// again and again, and with caches that hold nothing, as between two messages of
// Postfix.
func BenchmarkMessage(b *testing.B) {
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=192.0.2." + string(rune('1'+i%8)) + "\n" +
			"client_name=mx1.bank.example\nclient_port=4711\nreverse_client_name=mx1.bank.example\nserver_address=198.51.100.1\nserver_port=25\n" +
			"helo_name=mx1.bank.example\nsender=alice@bank.example\nrecipient=bob@ours.example\nrecipient_count=0\nqueue_id=\n" +
			"size=4000\netrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\n" +
			"ccert_subject=\nccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n" +
			"encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\ncompatibility_level=3.6\nmail_version=3.7.11\ninstance=3f8.65a1."
	}
	for name, cold := range map[string]int{"warm": 0, "cold": 64 << 20} {
		b.Run(name, func(b *testing.B) {
			histories := store.NewMemory(1000)
			defer histories.Close()
			rules, err := tlsstate.NewRules(tlsstate.DefaultPolicy(), nil)
			if err != nil {
				b.Fatal(err)
			}
			log := slog.New(slog.DiscardHandler)
			s := New(inbound.Deps{
				Judge: ratchet.New(ratchet.Options{Histories: histories, Changes: histories.Changes, Rules: rules, Log: log, Senders: tried{}}), Now: time.Now, Events: func(ratchet.Event) {}, Log: log,
			}, inbound.Options{}, nil, DefaultLimits())
			waste, n, sum := make([]byte, cold), 0, byte(0)
			var took []time.Duration
			var began time.Time
			b.ReportAllocs()
			s.Handle(&asking{ask: func() string {
				if n++; n > 1 {
					took = append(took, time.Since(began))
				}
				if n > b.N {
					return ""
				}
				text := texts[n/5%64] + strconv.Itoa(n) + "\n\n"
				for i := 0; i < cold; i += 64 {
					sum += waste[i]
				}
				began = time.Now()
				return text
			}})
			slices.Sort(took) // the cheapest quarter: the machine does other things too
			b.ReportMetric(float64(took[len(took)/4].Nanoseconds()), "ns/message")
			_ = sum
		})
	}
}

type tried struct{}

func (tried) Prove(context.Context, spf.Claim) spf.Result { return spf.Proven }
func (tried) Learn(c spf.Claim, learn func()) bool        { learn(); return true }
func (tried) Tried(spf.Claim) bool                        { return false }
