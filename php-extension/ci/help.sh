# Sourced first: the comment at the head of a script is its help.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

# Refuses a wrong number of arguments.
refuse() {
    usage >&2
    exit 2
}

case ${1:-} in
    -h | --help)
        usage
        exit
        ;;
esac
