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
	headerTimestamp = "X-Tlsratchet-Timestamp"
	headerSignature = "X-Tlsratchet-Signature"
)

// placeID is where a URL wants the message's ID.
const placeID = "{id}"

// webhook posts messages to a URL.
type webhook struct {
	*endpoint
	key  []byte
	body *body
}

func newWebhook(e *endpoint, s Settings, env Environment) (*webhook, error) {
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

func (w *webhook) try(ctx context.Context, m *Message) (string, error) {
	body, kind, err := w.bodyOf(m)
	if err != nil {
		return "", fmt.Errorf("making the body: %w", err)
	}
	h := http.Header{"Content-Type": {kind}}
	if len(w.key) > 0 {
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		h.Set(headerTimestamp, timestamp)
		h.Set(headerSignature, signatureOf(w.key, timestamp, body))
	}
	if strings.Contains(w.url.Path, placeID) {
		return w.send(ctx, http.MethodPut, w.at(m.ID), h, body)
	}
	return w.send(ctx, http.MethodPost, w.url, h, body)
}

func (w *webhook) bodyOf(m *Message) (body []byte, kind string, err error) {
	if w.body == nil {
		body, err = json.Marshal(m)
		return body, "application/json", err
	}
	body, err = w.body.render(m)
	return body, w.body.contentType(), err
}

// at returns the URL for a message.
func (w *webhook) at(id string) *url.URL {
	u := *w.url
	u.Path, u.RawPath = strings.ReplaceAll(u.Path, placeID, id), ""
	return &u
}

// signatureOf returns the value of [headerSignature].
func signatureOf(key []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
