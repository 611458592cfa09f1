function __tlsratchet
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    switch $words[-1]
%s        case --config --history --postfix --verdicts
            __fish_complete_path $cur
            return
    end
    switch "$cur"
        case --
            set -a words -
        case '-*'
            set -a words $cur
    end
    set -l found (env 0=zsh $words --generate-bash-completion 2>/dev/null | string replace : \t)
    if set -q found[1]
        string join \n -- $found
    else
        __fish_complete_path $cur
    end
end
complete -c tlsratchet -f -a '(__tlsratchet)'
