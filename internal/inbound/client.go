package inbound

import "tlsratchet/internal/ratchet"

// Client is the client of a connection of Postfix as it was stated last: most
// messages come from the same one in the same way.
type Client struct {
	Facts ratchet.Facts
	// Session is what they state. Each message has a copy: Decide changes that.
	Session ratchet.Session

	last ratchet.Last
}

// State makes the session of facts, unless they are those of the message before.
// The error states which fact did not arrive.
func (c *Client) State(f ratchet.Facts) (err error) {
	if f == c.Facts && !c.Session.Peer.Address.IsZero() {
		return nil
	}
	c.Facts = f
	c.Session, err = c.Facts.Session()
	c.last = ratchet.Last{}
	c.Session.Last = &c.last
	return err
}
