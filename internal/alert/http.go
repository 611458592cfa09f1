package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tlsratchet/internal/clean"
)

const (
	// maxAnswer is how much of an answer's body is read, maxShown how much of it
	// is shown.
	maxAnswer, maxShown = 4096, 160
	maxHeaders          = 16 << 10
	userAgent           = "tlsratchet"
)

// endpoint is an HTTP server that accepts messages. Only its scheme and host are
// shown: the rest of the URL may be a secret.
type endpoint struct {
	url    *url.URL
	token  string
	client *http.Client
}

func newEndpoint(s Settings, env Environment) (*endpoint, error) {
	raw := s.URL
	if u, err := url.Parse(raw); err != nil || u.Scheme == "file" || u.Scheme == "env" {
		if raw, err = Secret(s.URL, env.Getenv); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("url: want one that begins with https:// or http://")
	}
	e := &endpoint{url: u}
	if e.token, err = Secret(s.Token, env.Getenv); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	e.client = &http.Client{
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true, // messages are rare
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaders,
			ForceAttemptHTTP2:      true,
		},
	}
	return e, nil
}

// errRedirected is a redirect that isn't followed.
var errRedirected = errors.New("redirect to another server not followed: configure its URL")

// sameHost follows redirects to the same server that keep the method.
func sameHost(next *http.Request, via []*http.Request) error {
	first, status := via[0].URL, next.Response.StatusCode
	keeps := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !keeps || len(via) > 3 || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return errRedirected
	}
	return nil
}

// place is the part of the URL that is shown.
func (e *endpoint) place() string { return e.url.Scheme + "://" + clean.Text(e.url.Host, 255) }

// request is one request, made anew for each try.
type request struct {
	method, contentType string
	url                 *url.URL
	body                []byte
	// sign adds headers to a try.
	sign func(http.Header)
}

// errRefused is a permanent refusal.
var errRefused = errors.New("refused")

// do sends a request until it is accepted or refused, or ctx ends.
func (e *endpoint) do(ctx context.Context, r request) (answer string, err error) {
	for try := 0; ; try++ {
		var after time.Duration
		answer, after, err = e.try(ctx, r)
		if err == nil || errors.Is(err, errRefused) || errors.Is(err, errRedirected) {
			return answer, err
		}
		if !pause(ctx, max(after, backoff(try))) {
			return answer, err
		}
	}
}

// backoff is how long to wait after so many tries: doubled each time, with
// jitter, so that hosts that fail together don't come back together.
func backoff(try int) time.Duration {
	most := 250 * time.Millisecond << min(try, 10)
	return most/2 + rand.N(most/2)
}

// pause waits, unless ctx ends before that.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try sends a request once. after is how long the server wants us to wait.
func (e *endpoint) try(ctx context.Context, r request) (answer string, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), bytes.NewReader(r.body))
	if err != nil {
		return "", 0, fmt.Errorf("%w: cannot build the request", errRefused) // err holds the URL
	}
	req.Header.Set("Content-Type", r.contentType)
	req.Header.Set("User-Agent", userAgent)
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	if r.sign != nil {
		r.sign(req.Header)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return "", 0, withoutURL(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // part of it is enough
	return judge(resp, body)
}

// judge classifies an answer.
func judge(resp *http.Response, body []byte) (answer string, after time.Duration, err error) {
	answer = clean.Text(resp.Status, 64)
	if text := clean.Text(string(bytes.TrimSpace(body)), maxShown); text != "" {
		answer += ": " + text
	}
	switch {
	case resp.StatusCode/100 == 2:
		return answer, 0, nil
	case resp.StatusCode/100 == 5, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return answer, time.Duration(min(max(seconds, 0), 3600)) * time.Second, fmt.Errorf("the server answered %s", answer)
	}
	return answer, 0, fmt.Errorf("%w: the server answered %s", errRefused, answer)
}

// withoutURL takes the URL out of an error of net/http.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
