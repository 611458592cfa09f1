package inbound

import "tlsratchet/internal/ratchet"

// Client is the client of a connection of Postfix as it was stated last: most
// messages come from the same one in the same way.
type Client struct {
	Facts ratchet.Facts
	// Session is what they state. Each message has a copy: Decide changes that.
	Session ratchet.Session
	// Noted is for whoever notes connections.
	Noted Note

	last ratchet.Last
}

// Note is what was noted last of a client's connection; its port is "" for nothing.
type Note struct {
	Port   string
	Number uint64 // of all notes
}

// State makes the session of facts, unless they are those of the message before.
// The error states which fact did not arrive.
func (c *Client) State(f ratchet.Facts) error {
	if f == c.Facts && !c.Session.Peer.Address.IsZero() {
		return nil
	}
	s, err := f.Session() // if it panics, the facts stay those of the session
	c.Facts, c.Session, c.Noted, c.last = f, s, Note{}, ratchet.Last{}
	c.Session.Last = &c.last
	return err
}
