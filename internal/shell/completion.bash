_tlsratchet() {
    local cur=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    case $last in
%s    --config|--history|--postfix|--verdicts) compopt -o default; return ;;
    esac
    case $cur in
    --) words+=(-) ;;
    -*) words+=("$cur") ;;
    esac
    COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null | cut -d: -f1)" -- "$cur"))
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _tlsratchet tlsratchet
