package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"tlsratchet/internal/incident"
	"tlsratchet/tlsstate"
)

// maxBody is the greatest length of a body, in bytes.
const maxBody = 64 << 10

// body makes the bodies of requests.
type body struct {
	kind   string // their content type
	render func([]*Message) ([]byte, error)
}

const kindJSON = "application/json"

// plainBody renders the JSON form of a message.
func plainBody(all []*Message) ([]byte, error) { return json.Marshal(all[0]) }

// readBody reads a template and tries it. Its data is a [Message], its functions
// are json, join, list and pick; see docs/alerts.md. If its name ends in .json or
// .json.tmpl, its result must be JSON.
func readBody(path string) (b body, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return b, err
	}
	t, err := template.New(filepath.Base(path)).Funcs(template.FuncMap{
		"json": jsonText, "join": strings.Join, "list": list, "pick": pick,
	}).Parse(string(text))
	if err != nil {
		return b, err
	}
	b.kind = "text/plain; charset=utf-8"
	if strings.HasSuffix(strings.TrimSuffix(path, ".tmpl"), ".json") {
		b.kind = kindJSON
	}
	b.render = func(all []*Message) ([]byte, error) { return render(t, all[0], b.kind == kindJSON) }
	for _, m := range samples("mail.example") {
		if _, err := b.render([]*Message{m}); err != nil {
			return b, fmt.Errorf("tried with a message of %s: %w", m.What, err)
		}
	}
	return b, nil
}

// jsonText returns any value as JSON: a text with its quotes.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// list returns its arguments as a list, for join.
func list(all ...string) []string { return all }

// pick returns one of three values, by severity.
func pick(s Severity, info, warning, critical any) any {
	return [...]any{info, warning, critical}[min(s, Critical)]
}

func render(t *template.Template, m *Message, wantJSON bool) ([]byte, error) {
	w := &limited{left: maxBody}
	if err := t.Execute(w, m); err != nil {
		return nil, err
	}
	if wantJSON && !json.Valid(w.Bytes()) {
		return nil, errors.New("the result is not JSON: use {{json …}} for every text")
	}
	return w.Bytes(), nil
}

// limited is a buffer with a greatest length.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, fmt.Errorf("more than %d bytes", maxBody)
	}
	return l.Buffer.Write(p)
}

// samples are messages of all kinds, to try a template.
func samples(host string) []*Message {
	at := time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)
	i := incident.Incident{
		ID: 1, Identity: tlsstate.Identity{Kind: tlsstate.Address, Name: "192.0.2.10"}, Kind: tlsstate.Stripped,
		Words: `it says "no" \ and <that> in {{two}}`, Opened: at, Last: at, Messages: 1,
	}
	change := incident.Change{What: incident.Opened, At: at, Identity: i.Identity, Incident: i}
	notice := Message{Key: "breaker", What: WhatNotice, Status: StatusOpen, Severity: Critical, Title: "a notice", Text: "of\ntwo lines"}
	return []*Message{messageOf(&change, host), notice.from(host), new(held).message("held back", host), testMessage(host)}
}
