package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"time"

	"tlsratchet/test/posttest"
	"tlsratchet/tlsstate"
	"tlsratchet/tlsstate/store"
)

func (s *stage) sent(ctx context.Context) error {
	if err := s.stopDaemon(); err != nil {
		return err
	}
	if err := s.teach(); err != nil {
		return err
	}
	if err := s.serve("header"); err != nil {
		return err
	}
	s.say("5. The other direction: we send to the bank. Our Postfix asks tlsratchet about bank.example, which took TLS",
		"on each of the last 30 days (put into the memory for this demo), and uses STARTTLS.")
	if err := s.write(ctx, "carol@bank.example"); err != nil {
		return err
	}
	return s.arrived(ctx, "carol@bank.example")
}

func (s *stage) held(ctx context.Context) error {
	s.say("6. The attacker removes 250-STARTTLS from the bank's EHLO reply. Without tlsratchet this message would go in clear.")
	s.bank.Set(posttest.Behaviour{NoOffer: true})
	if err := s.write(ctx, "dave@bank.example"); err != nil {
		return err
	}
	line, err := s.mx.Log().Wait(ctx, regexp.MustCompile(`to=<dave@bank\.example>.* status=deferred`))
	if err != nil {
		return err
	}
	s.show("Our Postfix's log", line)
	return s.showLog(`msg="mail held"`)
}

func (s *stage) released(ctx context.Context) error {
	s.say("7. The attacker is gone. Our Postfix tries again, and the message leaves encrypted.")
	s.bank.Set(posttest.Behaviour{})
	// A flush reaches what is in the deferred queue, which is a moment after the log.
	if _, err := s.mx.WaitQueue(ctx, func(q posttest.Queued) bool { return q.Queue == "deferred" }); err != nil {
		return err
	}
	if err := s.mx.Flush(ctx); err != nil {
		return err
	}
	return s.arrived(ctx, "dave@bank.example")
}

// write has us send a message.
func (s *stage) write(ctx context.Context, to string) error {
	return give(ctx, s.mx, "bob@ours.example", to, "to the bank")
}

// arrived waits until the bank has a recipient's message, and shows its TLS.
func (s *stage) arrived(ctx context.Context, to string) error {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		for _, m := range s.bank.Received() {
			if m.Recipient != to {
				continue
			}
			if m.Version == 0 {
				return fmt.Errorf("the message to %s arrived in clear", to)
			}
			s.show("The bank's MX", to+" arrived over "+tls.VersionName(m.Version))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the message to %s: %w", to, ctx.Err())
		case <-tick.C:
		}
	}
}

// teach puts 30 days of TLS 1.2 with the bank into the memory.
func (s *stage) teach() error {
	memory, err := store.Open(filepath.Join(s.dir, "history.db"), store.Options{})
	if err != nil {
		return err
	}
	rule, today := tlsstate.DefaultPolicy(), tlsstate.DayOf(time.Now())
	bank := tlsstate.Identity{Kind: tlsstate.Destination, Name: "bank.example"}
	_, err = memory.Update(bank, netip.Addr{}, today, func(h tlsstate.History) tlsstate.History {
		for ago := tlsstate.Day(30); ago > 0; ago-- {
			_, h = tlsstate.Judge(h, tlsstate.Observation{Day: today - ago, Security: tlsstate.Security{Level: tlsstate.TLS12}}, &rule)
		}
		return h
	})
	return errors.Join(err, memory.Close())
}
