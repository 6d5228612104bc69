package io.lockstep.replication.link;

import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.Set;
import java.util.TreeSet;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Trusts the certificates whose fingerprints it was given and no other; no authority, name or date matters. That the peer also holds the key is
 * proven by the handshake itself (CertificateVerify, RFC 8446 section 4.4.3). For one connection: it remembers what the peer presented.
 */
final class PinnedTrust extends X509ExtendedTrustManager {
    private static final X509Certificate[] NO_ISSUERS = {};

    private final Set<String> allowed;
    private volatile String presented = "";
    private volatile boolean refused;

    PinnedTrust(Set<String> allowed) {
        this.allowed = Set.copyOf(allowed);
    }

    /** Fingerprint that the peer presented, or an empty string. */
    String presented() {
        return presented;
    }

    /** Whether the peer presented a certificate that is not allowed. */
    boolean refused() {
        return refused;
    }

    /** The allowed fingerprints, for messages. */
    String allowedText() {
        return allowed.isEmpty() ? "none" : String.join(", ", new TreeSet<>(allowed));
    }

    private void check(X509Certificate[] chain) throws CertificateException {
        if (chain == null || chain.length == 0) {
            refused = true;
            throw new CertificateException("no certificate");
        }
        presented = Identity.fingerprintOf(chain[0]);
        if (!allowed.contains(presented)) {
            refused = true;
            throw new CertificateException("certificate " + presented + " is not allowed");
        }
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, SSLEngine engine)
            throws CertificateException {
        check(chain);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType, Socket socket)
            throws CertificateException {
        check(chain);
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        check(chain);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        check(chain);
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return NO_ISSUERS.clone();
    }
}
