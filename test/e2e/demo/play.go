package main

import (
	"context"
	"fmt"
	"strings"

	"tlsratchet/test/posttest"
)

// play is the demo itself, step by step.
func (s *stage) play(ctx context.Context) error {
	s.say("Setting up: our Postfix with tlsratchet as its milter, and a bank's Postfix that sends to it.",
		"(Private instances on loopback. The bank's address is 127.0.0.2. A level is pinned after one day here; 5 is the default.)")
	if err := s.set(ctx); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{s.encrypted, s.stripped, s.refused, s.recovered, s.sent, s.held, s.released} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	s.say("That is all. Everything is stopped and removed.")
	return nil
}

func (s *stage) encrypted(ctx context.Context) error {
	if err := s.serve("header"); err != nil {
		return err
	}
	s.say("1. The bank sends a message. Its Postfix sees STARTTLS in our EHLO reply, and uses it.")
	m, err := s.deliver(ctx, "first")
	if err != nil {
		return err
	}
	s.show("Received", received(m))
	s.show("X-TLS-Ratchet", "(none: all is well, and now it is remembered)")
	return nil
}

func (s *stage) stripped(ctx context.Context) error {
	s.say("2. Now an attacker on the wire removes one line, 250-STARTTLS, from our EHLO reply. The bank sends again.")
	s.wire.Set(true)
	m, err := s.deliver(ctx, "second")
	if err != nil {
		return err
	}
	s.show("Received", received(m))
	s.show("X-TLS-Ratchet", m.Header.Get("X-TLS-Ratchet"))
	return s.showLog("msg=downgrade")
}

func (s *stage) refused(ctx context.Context) error {
	s.say("3. The same with the action tempfail: nothing is accepted in clear, nothing is lost.")
	if err := s.serve("tempfail"); err != nil {
		return err
	}
	if err := s.submit(ctx, "third"); err != nil {
		return err
	}
	q, err := s.sender.WaitQueue(ctx, func(q posttest.Queued) bool {
		return q.Queue == "deferred" && len(q.Recipients) > 0 && strings.Contains(q.Recipients[0].Delay, "451")
	})
	if err != nil {
		return err
	}
	s.show("The bank's queue", q.Recipients[0].Delay)
	return s.showLog("msg=downgrade")
}

func (s *stage) recovered(ctx context.Context) error {
	s.say("4. The attacker is gone. The bank's Postfix tries again, as it does by itself every few minutes.")
	s.wire.Set(false)
	if err := s.sender.Flush(ctx); err != nil {
		return err
	}
	m, err := s.mx.WaitMail(ctx, posttest.Subject("third"))
	if err != nil {
		return err
	}
	s.show("Received", received(m))
	return nil
}

// deliver has the bank send a message and waits for it.
func (s *stage) deliver(ctx context.Context, subject string) (posttest.Message, error) {
	if err := s.submit(ctx, subject); err != nil {
		return posttest.Message{}, err
	}
	return s.mx.WaitMail(ctx, posttest.Subject(subject))
}

// submit hands a message to the bank's Postfix.
func (s *stage) submit(ctx context.Context, subject string) error {
	return give(ctx, s.sender, "alice@bank.example", "bob@ours.example", subject)
}

// give hands a message to a Postfix, which delivers it.
func give(ctx context.Context, in *posttest.Instance, from, to, subject string) error {
	c, err := posttest.Peer{Server: in.Addr(0)}.Connect(ctx)
	if err != nil {
		return err
	}
	exchanges, err := c.Send(posttest.Mail{
		From: from, To: []string{to},
		Header: []string{"From: " + from, "To: " + to, "Subject: " + subject}, Body: "Hello.",
	})
	if err != nil {
		return err
	}
	if last := exchanges[len(exchanges)-1].Reply; !last.OK() {
		return fmt.Errorf("the message to %s was not accepted by Postfix: %s", to, last)
	}
	return c.Quit()
}

// received is the header line that our own Postfix wrote: the topmost.
func received(m posttest.Message) string { return m.Header["Received"][0] }

func (s *stage) showLog(text string) error {
	line, err := s.log.wait(text)
	if err != nil {
		return err
	}
	s.show("tlsratchet's log", line)
	return nil
}

func (s *stage) say(lines ...string) {
	fmt.Fprintln(s.out)
	for _, l := range lines {
		fmt.Fprintln(s.out, l)
	}
}

func (s *stage) show(what, text string) {
	fmt.Fprintf(s.out, "\n    %s:\n", what)
	for _, l := range wrap(text, 100) {
		fmt.Fprintf(s.out, "        %s\n", l)
	}
}

// wrap breaks a text at spaces.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
