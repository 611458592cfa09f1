package population

import (
	"strconv"

	"tlsratchet/tlsstate"
)

// senderForEver is chasquid's rule: where SPF passes, one mail over TLS pins
// the MAIL FROM domain for ever, and one in clear is then refused for good.
// SPF is perfect: it passes for whoever sends for the domain, and for nobody
// else.
type senderForEver struct {
	pinned map[int32]bool
}

func newSenderForEver() judge { return &senderForEver{pinned: map[int32]bool{}} }

func (r *senderForEver) judge(x *transaction) answer {
	if x.bits&(spfPass|noMessage) != spfPass || x.dns {
		return answer{}
	}
	if x.Level > tlsstate.Plaintext {
		r.pinned[x.sender] = true
	}
	return verdict(r.probe(x), x.sender)
}

func (r *senderForEver) probe(x *transaction) bool {
	return x.bits&spfPass != 0 && !x.dns && x.Level == tlsstate.Plaintext && r.pinned[x.sender]
}

func verdict(refused bool, sender int32) answer {
	if !refused {
		return answer{}
	}
	id := tlsstate.Identity{Kind: tlsstate.Sender, Name: strconv.Itoa(int(sender))}
	return answer{action: tlsstate.Reject, identity: id, downgrade: true, full: true}
}

// anyForEver pins the address and the MAIL FROM domain that any TLS connection
// gives, mail or none, proven or not.
type anyForEver struct {
	senders   map[int32]bool
	addresses map[tlsstate.Identity]bool
}

func newAnyForEver() judge {
	return &anyForEver{senders: map[int32]bool{}, addresses: map[tlsstate.Identity]bool{}}
}

func (r *anyForEver) judge(x *transaction) answer {
	if x.Level > tlsstate.Plaintext {
		r.senders[x.sender], r.addresses[x.Peer.Address] = true, true
	}
	return verdict(r.probe(x), x.sender)
}

func (r *anyForEver) probe(x *transaction) bool {
	return x.Level == tlsstate.Plaintext && (r.senders[x.sender] || r.addresses[x.Peer.Address])
}
