package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed webhook. The signature is "sha256=" and, in hexadecimal,
// the HMAC-SHA256 of the timestamp (seconds since 1970), a dot and the body.
const (
	HeaderTimestamp = "X-Tlsratchet-Timestamp"
	HeaderSignature = "X-Tlsratchet-Signature"
)

// placeID is where a URL wants the message's ID.
const placeID = "{id}"

// webhook posts messages to a URL.
type webhook struct {
	*endpoint
	key  []byte
	body *body
}

func newWebhook(s Settings, env Environment) (*webhook, error) {
	e, err := newEndpoint(s, env)
	if err != nil {
		return nil, err
	}
	key, err := Secret(s.Secret, env.Getenv)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	w := &webhook{endpoint: e, key: []byte(key)}
	if s.Body != "" {
		if w.body, err = readBody(s.Body, env.Host); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return w, nil
}

func (w *webhook) send(ctx context.Context, m *Message) (string, error) {
	r := request{method: http.MethodPost, url: w.url, contentType: "application/json"}
	var err error
	if w.body == nil {
		r.body, err = json.Marshal(m)
	} else {
		r.contentType = w.body.contentType()
		r.body, err = w.body.render(m)
	}
	if err != nil {
		return "", fmt.Errorf("making the body: %w", err)
	}
	if strings.Contains(w.url.Path, placeID) {
		r.method, r.url = http.MethodPut, w.at(m.ID)
	}
	if len(w.key) > 0 {
		r.sign = func(h http.Header) { sign(h, w.key, r.body, time.Now()) }
	}
	return w.do(ctx, r)
}

// at returns the URL for a message.
func (w *webhook) at(id string) *url.URL {
	u := *w.url
	u.Path, u.RawPath = strings.ReplaceAll(u.Path, placeID, id), ""
	return &u
}

// sign adds the headers of a signature.
func sign(h http.Header, key, body []byte, now time.Time) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, Signature(key, timestamp, body))
}

// Signature returns the value of [HeaderSignature].
func Signature(key []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
