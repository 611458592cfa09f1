package posttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
)

// Message is a message as it was delivered.
type Message struct {
	// Header is the parsed header; keys are in Go's canonical form, so read
	// them by Get.
	Header mail.Header
	// Body is what follows the header.
	Body string
	// Raw is the whole message as it lies in the maildir.
	Raw []byte
}

// Inbox is all mail delivered to [Options.Domains], oldest first. Delivered-To
// names for whom.
func (in *Instance) Inbox() ([]Message, error) {
	dir := in.path("mail/inbox/new")
	files, err := os.ReadDir(dir) // maildir names begin with the time
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Message
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		m, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		all = append(all, m)
	}
	return all, nil
}

// WaitMail returns the first delivered message that matches, as soon as it is
// there. When ctx ends first, the error holds the end of the log.
func (in *Instance) WaitMail(ctx context.Context, match func(Message) bool) (Message, error) {
	var found Message
	err := poll(ctx, func() (bool, error) {
		all, err := in.Inbox()
		for _, m := range all {
			if match(m) {
				found = m
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return Message{}, in.Log().explain(fmt.Errorf("waiting for mail: %w", err))
	}
	return found, nil
}

// Subject matches messages with that subject.
func Subject(s string) func(Message) bool {
	return func(m Message) bool { return m.Header.Get("Subject") == s }
}

func parse(raw []byte) (Message, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{}, err
	}
	body, err := io.ReadAll(m.Body)
	return Message{Header: m.Header, Body: string(body), Raw: raw}, err
}
