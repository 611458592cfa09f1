package mtatest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Reply is what the milter answered to one event.
type Reply struct {
	// Event is the command that was answered, such as 'M' or 'R'; 0 where
	// none was due.
	Event byte
	// Code is the SMFIR_ letter.
	Code byte
	// Text is the SMTP reply of a 'y', as Postfix sends it on.
	Text string
}

var words = map[byte]string{
	'a': "accept", 'c': "continue", 'd': "discard", 'r': "reject", 't': "tempfail", 's': "skip", 'p': "progress",
}

// String is the reply's word, or for a 'y' that letter and the text:
// "y451 4.7.1 come back". No reply is "".
func (r Reply) String() string {
	if r.Code == 'y' {
		return "y" + r.Text
	}
	return words[r.Code]
}

// Refused reports whether a reply refuses a recipient, command or message.
func (r Reply) Refused() bool { return r.Code == 'r' || r.Code == 't' || r.Code == 'y' }

func (r Reply) ends() bool { return r.Code == 'a' || r.Code == 'd' || r.Refused() }

// parseReply takes only what Postfix takes.
func parseReply(event, code byte, data []byte) (Reply, error) {
	reply := Reply{Event: event, Code: code}
	switch {
	case code == 'y':
		text, ok := smtpReply(data)
		if !ok {
			return reply, fmt.Errorf("%w: malformed reply %q", ErrProtocol, data)
		}
		reply.Text = text
		return reply, nil
	case words[code] == "":
		return reply, fmt.Errorf("%w: reply %q to %c", ErrProtocol, code, event)
	case len(data) != 0:
		return reply, fmt.Errorf("%w: reply %q with %d bytes", ErrProtocol, code, len(data))
	}
	return reply, nil
}

// smtpReply checks the code, with its enhanced one if there is, and halves each %%, as milter8_event does; a lone
// % goes.
func smtpReply(data []byte) (string, bool) {
	text := strings.TrimSuffix(string(data), "\x00")
	if len(text) < 5 || text[0] != '4' && text[0] != '5' || !digit(text[1]) || !digit(text[2]) ||
		text[3] != ' ' && text[3] != '-' || digit(text[4]) && text[4] != text[0] {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' {
			i++
		}
		if i < len(text) {
			b.WriteByte(text[i])
		}
	}
	return b.String(), true
}

func digit(b byte) bool { return '0' <= b && b <= '9' }

// Op is a kind of header modification.
type Op string

// The modifications, in libmilter's words: add at the end, insert at an index
// of all headers, change or delete the nth of that name, counted from 1.
const (
	Add    Op = "add"
	Insert Op = "insert"
	Change Op = "change"
	Delete Op = "delete"
)

// Edit is one header modification.
type Edit struct {
	Op    Op
	Index int
	Name  string
	Value string
}

// Result is what became of a message.
type Result struct {
	// Replies are all that came, in order.
	Replies []Reply
	// Rcpts holds one for each recipient that was sent to the milter; after
	// an accept that ends the message the others are not.
	Rcpts []Reply
	// End is the reply that ended the message; the zero Reply if all
	// recipients were refused.
	End Reply
	// Edits are the header modifications, in order.
	Edits []Edit
	// Quarantined reports whether the message is to be held, Quarantine why.
	Quarantined bool
	Quarantine  string
	// Trips counts waits for the milter; Sent and Received are bytes.
	Trips, Sent, Received int
}

func (r *Result) reset() {
	*r = Result{Replies: r.Replies[:0], Rcpts: r.Rcpts[:0], Edits: r.Edits[:0]}
}

// Reply returns the first reply to an event, or the zero Reply.
func (r *Result) Reply(event byte) Reply {
	for _, reply := range r.Replies {
		if reply.Event == event {
			return reply
		}
	}
	return Reply{}
}

// edit takes a modification; it reports false for what is none.
func (r *Result) edit(code byte, data []byte) (bool, error) {
	switch code {
	case 'h':
		return r.editHeader(Add, 0, data)
	case 'i', 'm':
		if len(data) < 4 {
			return false, fmt.Errorf("%w: header change without an index", ErrProtocol)
		}
		index := int(binary.BigEndian.Uint32(data))
		if code == 'i' {
			return r.editHeader(Insert, index, data[4:])
		}
		return r.editHeader(Change, max(index, 1), data[4:])
	case 'q':
		r.Quarantined = true
		r.Quarantine = strings.TrimSuffix(string(data), "\x00")
		return true, nil
	}
	return false, nil
}

func (r *Result) editHeader(op Op, index int, data []byte) (bool, error) {
	parts := strings.Split(string(data), "\x00")
	if len(parts) != 3 || parts[2] != "" || parts[0] == "" {
		return false, fmt.Errorf("%w: bad header %s: %q", ErrProtocol, op, data)
	}
	if op == Change && parts[1] == "" {
		op = Delete
	}
	r.Edits = append(r.Edits, Edit{Op: op, Index: index, Name: parts[0], Value: parts[1]})
	return true, nil
}

// Headers returns the headers of the message as the edits leave them.
func (r *Result) Headers(headers [][2]string) [][2]string {
	out := slices.Clone(headers)
	for _, e := range r.Edits {
		header := [2]string{e.Name, e.Value}
		at := nth(out, e.Name, e.Index)
		switch {
		case e.Op == Insert:
			out = slices.Insert(out, min(e.Index, len(out)), header)
		case e.Op == Delete && at >= 0:
			out = slices.Delete(out, at, at+1)
		case e.Op == Change && at >= 0:
			out[at] = header
		case e.Op == Add || e.Op == Change: // a change of nothing adds
			out = append(out, header)
		}
	}
	return out
}

// nth is the place of the nth header of a name, counted from 1, or -1.
func nth(headers [][2]string, name string, n int) int {
	for i, h := range headers {
		if strings.EqualFold(h[0], name) {
			if n--; n == 0 {
				return i
			}
		}
	}
	return -1
}
