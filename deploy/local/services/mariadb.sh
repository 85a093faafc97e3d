# shellcheck shell=bash
# MariaDB, from Debian, on a data folder of its own, with the binlog that Debezium reads.

mariadb_address() { say "127.0.0.1:$(port mariadb)"; }

mariadb_env() {
    env_line MARIADB "$(mariadb_address)"
    env_line MARIADB_DATABASE app
    env_line MARIADB_USER app
    env_line MARIADB_PASSWORD "$SECRET_MARIADB_APP"
    env_line MARIADB_CDC_USER cdc
    env_line MARIADB_CDC_PASSWORD "$SECRET_MARIADB_CDC"
    env_line MARIADB_ROOT_PASSWORD "$SECRET_MARIADB_ROOT"
    env_line MARIADB_DIR "$(service_dir mariadb)/data"
}

mariadb_configure() {
    local folder data
    folder=$(service_dir mariadb) data=$folder/data
    mkdir -p "$folder/tmp" || return
    write_file "$folder/my.cnf" <<CONF
[mariadbd]
# A path relative to datadir: a socket's full path may not be longer than 107 bytes, and a folder's may.
socket=server.sock
pid-file=server.pid
bind-address=127.0.0.1
port=$(port mariadb)
skip-name-resolve
# Only root may name the user to run as; anyone else runs it as themselves.
$( ((EUID != 0)) || say user=root)

server-id=1
log-bin=binlog
binlog-format=ROW
binlog-row-image=FULL
binlog_row_metadata=FULL
gtid_strict_mode=ON
binlog_expire_logs_seconds=604800

character-set-server=utf8mb4
collation-server=utf8mb4_unicode_ci
default-time-zone=+00:00

# Written at every commit, synced once a second: a killed server loses nothing, a machine without power might. The stack
# is killed often and keeps nothing dear.
innodb_flush_log_at_trx_commit=2
sync_binlog=0
innodb_buffer_pool_size=128M
performance_schema=OFF
max_connections=200
CONF
    [[ ! -e $folder/initialised ]] || return 0
    rm -rf "$data"
    mkdir -p "$data" || return
    # By relative paths, because this program cuts paths at spaces.
    (cd "$folder" && mariadb-install-db --defaults-file=my.cnf --datadir=./data --auth-root-authentication-method=normal \
        --skip-test-db >>log 2>&1)
}

mariadb_launch() {
    local folder
    folder=$(service_dir mariadb)
    detach "$folder" "$folder/log" mariadbd --defaults-file="$folder/my.cnf" --datadir="$folder/data" --tmpdir="$folder/tmp"
}

mariadb_ready() {
    if [[ -e $(service_dir mariadb)/initialised ]]; then
        # This client takes a SIGTERM only when the server answers, so a server that hangs needs the other signal.
        MYSQL_PWD=$SECRET_MARIADB_APP timeout -s KILL 3 mariadb-admin --no-defaults --protocol=tcp --host=127.0.0.1 --port="$(port mariadb)" \
            --user=app ping >/dev/null 2>&1
    else
        mariadb_root <<<'SELECT 1' >/dev/null 2>&1
    fi
}

# By the socket, where root@localhost is known under every name resolution setting.
mariadb_root() {
    (cd "$(service_dir mariadb)/data" && timeout -s KILL 20 mariadb --no-defaults --socket=server.sock --user=root)
}

# Users and grants are kept out of the binlog, which begins with what a capture should see: a schema and one row, so that
# there is a GTID (Debezium does not start on a server without one). Anonymous users would be taken before cdc and app for
# connections from this machine. No root without a password stays either.
mariadb_after_start() {
    local folder
    folder=$(service_dir mariadb)
    [[ ! -e $folder/initialised ]] || return 0
    mariadb_root >>"$folder/log" 2>&1 <<SQL || return
SET sql_log_bin = 0;
DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
FLUSH PRIVILEGES;
CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '$SECRET_MARIADB_ROOT';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE OR REPLACE USER 'app'@'%' IDENTIFIED BY '$SECRET_MARIADB_APP';
CREATE OR REPLACE USER 'cdc'@'%' IDENTIFIED BY '$SECRET_MARIADB_CDC';
GRANT ALL ON app.* TO 'app'@'%';
GRANT SELECT, RELOAD, SHOW DATABASES, LOCK TABLES, REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR ON *.* TO 'cdc'@'%';
SET sql_log_bin = 1;
CREATE DATABASE IF NOT EXISTS app;
CREATE DATABASE IF NOT EXISTS stack;
CREATE TABLE IF NOT EXISTS stack.made (at DATETIME NOT NULL);
INSERT INTO stack.made VALUES (UTC_TIMESTAMP());
SET sql_log_bin = 0;
ALTER USER 'root'@'localhost' IDENTIFIED BY '$SECRET_MARIADB_ROOT';
SQL
    : >"$folder/initialised"
    mariadb_ready
}
