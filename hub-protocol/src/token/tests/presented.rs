//! Where the token of a request comes from.

use super::*;

const BOTH: Forms = Forms {
    deployed: true,
    standard: true,
};

fn both() -> Presentation {
    Presentation::new(BOTH, vec!["https://example.com".to_owned()])
}

fn everywhere() -> Presented<'static> {
    Presented {
        authorization: Some(b"Bearer header"),
        cookie: Some(b"x=y; mercureAuthorization=old; __Secure-mercure_access_token=new"),
        query: Some("query"),
        origin: Some(b"https://example.com"),
        referer: None,
    }
}

fn found<'a>(request: &Presented<'a>) -> Result<Option<&'a str>, Refusal> {
    both().token(request, OriginCheck::Required)
}

#[test]
fn header_comes_before_the_query_and_that_before_the_cookie() {
    let mut request = everywhere();
    assert_eq!(found(&request), Ok(Some("header")));
    request.authorization = None;
    assert_eq!(found(&request), Ok(Some("query")));
    request.query = None;
    assert_eq!(found(&request), Ok(Some("new")));
    request.cookie = Some(b"mercureAuthorization=old");
    assert_eq!(found(&request), Ok(Some("old")));
    request.cookie =
        Some(b"xmercureAuthorization=old; mercureauthorization=old; mercureAuthorization");
    assert_eq!(found(&request), Ok(None));
}

#[test]
fn standard_form_takes_no_token_from_the_query_and_only_its_own_cookie() {
    let standard = Presentation::new(
        Forms {
            deployed: false,
            standard: true,
        },
        vec![],
    );
    let request = Presented {
        cookie: Some(b"mercureAuthorization=old"),
        query: Some("query"),
        ..Presented::default()
    };
    assert_eq!(standard.token(&request, OriginCheck::NotNeeded), Ok(None));
}

#[test]
fn scheme_of_the_header_is_compared_without_case() {
    for field in ["Bearer t", "bearer t", "BEARER  t", " Bearer t "] {
        let request = Presented {
            authorization: Some(field.as_bytes()),
            ..Presented::default()
        };
        assert_eq!(found(&request), Ok(Some("t")), "{field:?}");
    }
}

#[test]
fn malformed_header_is_refused_and_no_cookie_replaces_it() {
    for field in [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "Bearert",
        "Bearer a b",
    ] {
        let request = Presented {
            authorization: Some(field.as_bytes()),
            ..everywhere()
        };
        let refusal = found(&request).unwrap_err();
        assert_eq!(refusal.status(), Status::BadRequest, "{field:?}");
        let challenge = refusal.challenge(None).unwrap();
        assert!(
            challenge.contains("error=\"invalid_request\""),
            "{challenge}"
        );
    }
}

#[test]
fn cookie_from_another_origin_is_refused() {
    let cookie = Presented {
        authorization: None,
        query: None,
        ..everywhere()
    };
    let status = |origin: Option<&'static str>, referer: Option<&'static str>| {
        let request = Presented {
            origin: origin.map(str::as_bytes),
            referer: referer.map(str::as_bytes),
            ..cookie
        };
        found(&request)
            .map(|_| ())
            .map_err(|refusal| refusal.status().code())
    };
    assert_eq!(status(Some("https://example.com"), None), Ok(()));
    assert_eq!(status(Some("https://EXAMPLE.com:443"), None), Ok(()));
    assert_eq!(status(None, Some("https://example.com/page?x")), Ok(()));
    for origin in [
        "https://evil.example",
        "http://example.com",
        "https://example.com:8443",
        "https://example.com.evil.example",
        "https://evil.example/https://example.com",
        "null",
        "",
    ] {
        assert_eq!(status(Some(origin), None), Err(403), "{origin}");
        assert_eq!(status(None, Some(origin)), Err(403), "{origin}");
        // If both are there, Origin counts.
        assert_eq!(
            status(Some(origin), Some("https://example.com/")),
            Err(403),
            "{origin}"
        );
    }
    assert_eq!(status(None, None), Err(403));
}

#[test]
fn origin_does_not_matter_where_the_browser_or_the_header_decides() {
    let request = Presented {
        authorization: None,
        query: None,
        origin: Some(b"https://evil.example"),
        ..everywhere()
    };
    assert_eq!(
        both().token(&request, OriginCheck::NotNeeded),
        Ok(Some("new"))
    );
    let request = Presented {
        origin: Some(b"https://evil.example"),
        ..everywhere()
    };
    assert_eq!(found(&request), Ok(Some("header")));
}

#[test]
fn star_trusts_every_origin() {
    let open = Presentation::new(BOTH, vec!["*".to_owned()]);
    let request = Presented {
        authorization: None,
        query: None,
        origin: None,
        ..everywhere()
    };
    assert_eq!(open.token(&request, OriginCheck::Required), Ok(Some("new")));
}

#[test]
fn cookie_with_quotes_is_unquoted() {
    let request = Presented {
        cookie: Some(b"mercureAuthorization=\"old\""),
        ..Presented::default()
    };
    assert_eq!(
        both().token(&request, OriginCheck::NotNeeded),
        Ok(Some("old"))
    );
}
