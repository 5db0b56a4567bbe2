#!/bin/bash
# As much of systemd as the page needs: what a unit says is started by whom it says, with the credentials that it names.
# Ports of the page that a machine of tests cannot give are others.
set -eu
action=$1
shift
names=()
for word in "$@"; do
    case $word in --*) ;; *) names+=("${word%.service}") ;; esac
done

value() { sed -n "s/^$2=//p" "/etc/systemd/system/$1.service"; }

start() {
    local name=$1 user state file credentials=/run/credentials/$1.service
    user=$(value "$name" User)
    user=${user:-nobody}
    local as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
    state=$(value "$name" StateDirectory)
    [ -z "$state" ] || install -d -m 700 -o "$user" -g "$user" "/var/lib/$state"
    install -d -m 500 -o "$user" "$credentials"
    value "$name" LoadCredential | while IFS=: read -r id path; do
        install -m 400 -o "$user" "$path" "$credentials/$id"
    done
    file=$(value "$name" EnvironmentFile)
    if [ -n "$file" ]; then
        set -a
        . "$file"
        set +a
    fi
    cd /
    local before command
    before=$(value "$name" ExecStartPre)
    [ -z "$before" ] || "${as[@]}" $before
    command=$(value "$name" ExecStart)
    command=${command/127.0.0.1:9400/$TANDEM_KEEPER__LISTEN}
    command=${command/127.0.0.1:9401/127.0.0.1:0}
    "${as[@]}" $command < /dev/null > "/run/$name.log" 2>&1 &
    echo $! > "/run/$name.pid"
}

stop() {
    local pid
    pid=$(cat "/run/$1.pid")
    kill "$pid"
    while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
    rm -rf "/run/credentials/$1.service"
}

case $action in
daemon-reload) ;;
enable | start) for name in "${names[@]}"; do start "$name"; done ;;
stop) for name in "${names[@]}"; do stop "$name"; done ;;
status) for name in "${names[@]}"; do kill -0 "$(cat "/run/$name.pid")"; done ;;
*)
    echo "systemctl: not known here: $action" >&2
    exit 1
    ;;
esac
