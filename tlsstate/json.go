package tlsstate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// historyJSON is the form in which histories are exported and imported: days
// as 2026-09-21, sets of days and weeks as hexadecimal numbers whose lowest
// bit is the last day, and its week. What is zero is left out.
type historyJSON struct {
	Epoch      uint16           `json:"epoch,omitempty"`
	First      Day              `json:"first,omitzero"`
	Last       Day              `json:"last,omitzero"`
	Seen       map[Level]hexSet `json:"seen,omitempty"`
	WeekTLS    hexSet           `json:"weeks_tls,omitzero"`
	WeekPlain  hexSet           `json:"weeks_none,omitzero"`
	CertDays   hexSet           `json:"certificate,omitzero"`
	NoCertDays hexSet           `json:"no_certificate,omitzero"`
	Cert       hexSet           `json:"certificate_mark,omitzero"`
	CertSince  Day              `json:"certificate_since,omitzero"`
	Networks   hexSet           `json:"networks,omitzero"`
	Addresses  hexSet           `json:"addresses,omitzero"`
	Bare       hexSet           `json:"addresses_none,omitzero"`
	Named      hexSet           `json:"addresses_spf,omitzero"`
	HostNames  hexSet           `json:"host_names,omitzero"`
	Senders    hexSet           `json:"senders,omitzero"`
	Name       string           `json:"name,omitempty"`
	NameDay    Day              `json:"name_day,omitzero"`
	Pins       map[string]Pin   `json:"pins,omitempty"`
}

// certificatePin is the name of the pin on the client certificate.
const certificatePin = "certificate"

// MarshalJSON returns the documented form of a history; see docs/commands.md.
func (h History) MarshalJSON() ([]byte, error) {
	j := historyJSON{
		Epoch: h.Epoch, First: h.First, Last: h.Last,
		Cert: hexSet(h.Cert.Mark), CertSince: h.Cert.Since, Name: h.Name.Text, NameDay: h.Name.Day,
		Seen: make(map[Level]hexSet), Pins: make(map[string]Pin),
	}
	for l, set := range h.Seen {
		if set != 0 {
			j.Seen[Level(l)] = hexSet(set)
		}
	}
	sets := h.words()
	for i, number := range j.sets() {
		*number = hexSet(*sets[len(h.Seen)+i])
	}
	for name, p := range h.named() {
		if *p != (Pin{}) {
			j.Pins[name] = *p
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown key is an error, for
// what it says would be lost. Whatever the bytes, the result is
// a history that [History.Valid] accepts, or an error that says what is wrong.
func (h *History) UnmarshalJSON(b []byte) error {
	var j historyJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	var read History
	if err := read.from(&j); err != nil {
		return err
	}
	if err := read.Valid(); err != nil {
		return err
	}
	*h = read
	return nil
}

func (h *History) from(j *historyJSON) error {
	h.Epoch = j.Epoch
	h.First, h.Last, h.Cert = j.First, j.Last, Certificate{Since: j.CertSince, Mark: uint64(j.Cert)}
	h.Name.Text, h.Name.Day = j.Name, j.NameDay
	for l, set := range j.Seen {
		h.Seen[l] = uint64(set)
	}
	sets := h.words()
	for i, number := range j.sets() {
		*sets[len(h.Seen)+i] = uint64(*number)
	}
	named := h.named()
	for name, p := range j.Pins {
		pin, known := named[name]
		if !known {
			return fmt.Errorf("unknown pin %q", name)
		}
		*pin = p
	}
	return nil
}

// sets are the numbers of the sets that follow those of the levels in [History.words].
func (j *historyJSON) sets() []*hexSet {
	return []*hexSet{
		&j.WeekTLS, &j.WeekPlain, &j.CertDays, &j.NoCertDays,
		&j.Networks, &j.Addresses, &j.Bare, &j.Named, &j.HostNames, &j.Senders,
	}
}

func (h *History) named() map[string]*Pin {
	return map[string]*Pin{
		Weak.String(): &h.Pins[0], TLS12.String(): &h.Pins[1], TLS13.String(): &h.Pins[2],
		certificatePin: &h.CertPin,
	}
}

// hexSet is a set as a hexadecimal number.
type hexSet uint64

// MarshalText implements [encoding.TextMarshaler].
func (x hexSet) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(x), 16), nil }

// UnmarshalText is the inverse of MarshalText; an empty text is 0.
func (x *hexSet) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint("0"+string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("set %.32q: want up to 16 hexadecimal digits", b)
	}
	*x = hexSet(n)
	return nil
}
