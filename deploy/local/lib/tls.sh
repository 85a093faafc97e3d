# shellcheck shell=bash
# --secure: a certificate authority of the instance's own, and one server certificate for 127.0.0.1 signed by it. The
# authority's key is thrown away: nothing else will ever be signed.

make_certificates() {
    local folder=$INSTANCE_DIR/tls made=$INSTANCE_DIR/tls.part log=$INSTANCE_DIR/openssl.log
    [[ -n $SECURE && ! -d $folder ]] || return 0
    rm -rf "$made"
    mkdir -p "$made"
    (
        umask 077
        cd "$made"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=twolane $INSTANCE test authority" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out server.pem -extfile <(
            printf '%s\n' basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth \
                subjectAltName=IP:127.0.0.1,DNS:localhost
        )
        rm ca.key server.csr ca.srl
    ) >"$log" 2>&1 || die "openssl could not make the certificates; its output is in $log"
    mv "$made" "$folder"
}
